//! `ApiKeyAuthenticator`: a key, in a header, the query or the body.

use super::shown::Shown;
use super::{AuthError, Read};
use crate::document::{Node, Problem};
use crate::source::manifest::expr::Expr;
use crate::source::manifest::fields::{optional, problem, text};
use crate::source::manifest::options::RequestOption;

/// `ApiKeyAuthenticator`
#[derive(Debug, Clone)]
pub(in crate::source::manifest) struct Key {
    pub(super) option: RequestOption,
    pub(super) shown: Shown,
    token: Expr,
}

impl Key {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        let option = match (optional(node, "inject_into"), text(node, "header")?) {
            (Some(option), None) => RequestOption::build(option)?,
            (None, Some(name)) => RequestOption::header(name, node)?,
            _ => {
                return Err(problem(
                    node.at,
                    "ApiKeyAuthenticator has not exactly one of inject_into and header",
                    "keep inject_into",
                ));
            }
        };
        let token = Expr::required(node, "api_token")?;
        Ok(Self {
            option,
            shown: Shown::default(),
            token,
        })
    }

    pub(super) fn credential(&self, read: Read<'_>) -> Result<String, AuthError> {
        Ok(read(&self.token)?)
    }
}
