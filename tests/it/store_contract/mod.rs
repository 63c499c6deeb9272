//! What every store promises: one list of statements, each held against memory, SQLite and a
//! real Redis.

mod committing;
mod credentials;
mod leasing;
mod queued;
mod queueing;
mod reading;
mod scene;

use self::scene::Scene;

/// Makes one test per statement and store.
macro_rules! contract {
    ($($module:ident: $($statement:ident),+;)+) => {
        mod in_memory {
            $($(#[tokio::test]
            async fn $statement() {
                super::$module::$statement(super::Scene::in_memory()).await;
            })+)+
        }
        mod in_sqlite {
            $($(#[tokio::test]
            async fn $statement() {
                super::$module::$statement(super::Scene::in_sqlite().await).await;
            })+)+
        }
        mod in_redis {
            $($(#[tokio::test]
            async fn $statement() {
                super::$module::$statement(super::Scene::in_redis().await).await;
            })+)+
        }
    };
}

contract! {
    leasing:
        a_new_connector_starts_with_epoch_one_and_no_state,
        a_held_lease_is_busy_for_others,
        a_repeated_acquisition_keeps_the_epoch,
        an_expired_lease_goes_to_the_next_with_a_higher_epoch,
        the_previous_owner_is_replaced_at_once,
        a_foreign_previous_owner_opens_nothing,
        one_of_many_contenders_wins,
        a_renewal_extends_the_lease,
        a_renewal_tells_why_it_failed,
        an_expired_lease_is_lost_and_not_revived,
        a_released_lease_is_free_and_its_owner_fenced,
        a_late_release_leaves_the_next_holder_alone,
        a_release_wakes_standbys,
        a_broken_lease_is_lost_but_fences_nobody_yet,
        leases_are_listed_while_they_are_held;
    committing:
        a_commit_writes_everything,
        entries_carry_the_documented_fields_in_order,
        an_identical_resend_writes_nothing_twice,
        a_sequence_that_does_not_follow_is_a_gap,
        a_newer_epoch_fences_the_older,
        a_commit_without_lease_key_applies_and_says_so,
        a_commit_extends_the_lease,
        a_commit_without_signals_moves_state_alone,
        a_refused_commit_writes_nothing,
        an_output_at_its_limit_is_bounded,
        large_commits_arrive_whole,
        any_bytes_arrive_unchanged,
        concurrent_resends_apply_once,
        connectors_share_an_output_but_nothing_else;
    queued:
        waiting_commits_are_written_in_their_order,
        a_waiting_commit_that_is_given_up_writes_nothing,
        a_waiting_commit_is_fenced_like_any_other,
        a_waiting_commit_minds_how_full_the_output_is;
    queueing:
        deliveries_wait_in_order_and_unchanged,
        attempts_are_remembered_until_they_are_forgotten,
        an_id_is_queued_once,
        ids_are_forgotten_in_time_and_beyond_their_number,
        a_full_queue_takes_no_more_and_no_id,
        a_commit_acknowledges_what_it_publishes,
        a_failed_delivery_waits_among_the_dead_ones,
        an_append_wakes_who_waits,
        concurrent_appends_claim_an_id_once;
    reading:
        unknown_names_are_empty,
        state_survives_as_the_last_commit_left_it,
        versions_are_set_replaced_and_removed,
        state_fields_are_set_and_removed,
        a_reset_keeps_epoch_and_sequence,
        a_reset_of_one_stream_spares_the_others,
        a_reset_is_fenced,
        entries_are_read_in_order_from_any_point,
        a_reader_waits_for_the_next_entry,
        ids_that_are_none_are_refused,
        dead_letters_are_kept_and_purged,
        metrics_add_and_set,
        nothing_is_trimmed_without_consumers;
    credentials:
        an_unknown_credential_is_empty,
        a_lock_is_busy_for_others_until_it_is_given_up,
        a_lock_that_ended_goes_to_the_next,
        a_save_replaces_the_revision_that_was_read_and_no_other,
        of_many_saves_of_one_revision_one_counts,
        a_wait_with_a_credential_is_everybodys_until_it_ends,
        a_rate_is_one_process_s_until_another_asks,
        turns_of_several_processes_follow_each_other;
}
