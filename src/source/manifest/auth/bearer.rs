//! `BearerAuthenticator`: `Authorization: Bearer …` with a token of the configuration.

use super::shown::Shown;
use super::{AuthError, Read};
use crate::document::{Node, Problem};
use crate::source::manifest::expr::Expr;
use crate::source::manifest::options::RequestOption;

/// `BearerAuthenticator`
#[derive(Debug, Clone)]
pub(in crate::source::manifest) struct Bearer {
    pub(super) option: RequestOption,
    pub(super) shown: Shown,
    token: Expr,
}

impl Bearer {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        Ok(Self {
            option: RequestOption::header("Authorization", node)?,
            shown: Shown::default(),
            token: Expr::required(node, "api_token")?,
        })
    }

    pub(super) fn credential(&self, read: Read<'_>) -> Result<String, AuthError> {
        Ok(format!("Bearer {}", read(&self.token)?))
    }
}
