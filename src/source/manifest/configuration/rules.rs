//! `config_normalization_rules`: changes that are made to a configuration before it is used, and
//! what must hold of it then.

use super::changes::Change;
use super::validate::Validation;
use crate::clock::Clock;
use crate::document::{Node, Problem};
use crate::json::{Map, Value};
use crate::source::manifest::expr::unsupported;
use crate::source::manifest::fields::{list, optional, type_of};

/// The rules of a manifest.
#[derive(Debug, Default)]
pub(in crate::source::manifest) struct ConfigRules {
    /// From older shapes to the current one.
    migrations: Vec<Change>,
    /// Made every time.
    transformations: Vec<Change>,
    validations: Vec<Validation>,
}

/// Why a configuration cannot be used. Never holds a value of it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("config_normalization_rules: {0}")]
pub(in crate::source::manifest) struct ConfigProblem(pub(super) String);

impl ConfigRules {
    /// The rules of `spec`, if the manifest has any.
    pub(in crate::source::manifest) fn build(document: &Node) -> Result<Self, Problem> {
        let rules = optional(document, "spec")
            .and_then(|spec| optional(spec, "config_normalization_rules"));
        let Some(rules) = rules else {
            return Ok(Self::default());
        };
        let mut migrations = Vec::new();
        for migration in list(rules, "config_migrations")? {
            if type_of(migration).is_some_and(|kind| kind != "ConfigMigration") {
                return Err(unsupported(migration));
            }
            migrations.extend(changes(migration)?);
        }
        Ok(Self {
            migrations,
            transformations: changes(rules)?,
            validations: list(rules, "validations")?
                .iter()
                .map(Validation::build)
                .collect::<Result<_, _>>()?,
        })
    }

    /// The configuration in its current shape, as it may be stored.
    pub(in crate::source::manifest) fn migrate(
        &self,
        config: Map,
        clock: Clock,
    ) -> Result<Map, ConfigProblem> {
        changed(&self.migrations, config, clock)
    }

    /// The configuration as templates see it.
    pub(in crate::source::manifest) fn apply(
        &self,
        config: Map,
        clock: Clock,
    ) -> Result<Map, ConfigProblem> {
        let config = changed(&self.transformations, self.migrate(config, clock)?, clock)?;
        let config = Value::Object(config);
        for validation in &self.validations {
            validation.check(&config, clock)?;
        }
        match config {
            Value::Object(config) => Ok(config),
            _ => unreachable!("it was made a map above"),
        }
    }
}

fn changes(owner: &Node) -> Result<Vec<Change>, Problem> {
    let changes = list(owner, "transformations")?;
    changes.iter().map(Change::build).collect()
}

fn changed(changes: &[Change], mut config: Map, clock: Clock) -> Result<Map, ConfigProblem> {
    for change in changes {
        change.apply(&mut config, clock)?;
    }
    Ok(config)
}
