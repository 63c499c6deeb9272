//! One cycle: fetch → detect → transform → commit.
