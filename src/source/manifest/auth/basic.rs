//! `BasicHttpAuthenticator`: `Authorization: Basic …` with name and password.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::shown::Shown;
use super::{AuthError, Read};
use crate::document::{Node, Problem};
use crate::source::manifest::expr::Expr;
use crate::source::manifest::options::RequestOption;

/// `BasicHttpAuthenticator`
#[derive(Debug, Clone)]
pub(in crate::source::manifest) struct Basic {
    pub(super) option: RequestOption,
    pub(super) shown: Shown,
    user: Expr,
    password: Option<Expr>,
}

impl Basic {
    pub(super) fn build(node: &Node) -> Result<Self, Problem> {
        Ok(Self {
            option: RequestOption::header("Authorization", node)?,
            shown: Shown::default(),
            user: Expr::required(node, "username")?,
            password: Expr::field(node, "password")?,
        })
    }

    pub(super) fn credential(&self, read: Read<'_>) -> Result<String, AuthError> {
        let password = self.password.as_ref().map(read).transpose()?;
        let pair = format!("{}:{}", read(&self.user)?, password.unwrap_or_default());
        Ok(format!("Basic {}", BASE64.encode(pair)))
    }
}
