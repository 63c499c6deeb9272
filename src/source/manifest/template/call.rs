//! Arguments of a call, matched to parameters as Python does.

use super::value::{Raise, Result, Value};

/// Evaluated arguments.
#[derive(Debug, Default)]
pub(super) struct Call<'a> {
    pub positional: Vec<Value<'a>>,
    pub named: Vec<(&'a str, Value<'a>)>,
}

impl<'a> Call<'a> {
    /// The arguments of the parameters `names`, the first `required` of which must be given.
    /// One too many, or of an unknown name, is a type error.
    pub(super) fn bind<const N: usize>(
        &self,
        names: [&str; N],
        required: usize,
    ) -> Result<[Option<Value<'a>>; N]> {
        if self.positional.len() > N {
            return Err(Raise::Type);
        }
        let mut bound = [const { None }; N];
        for (slot, value) in bound.iter_mut().zip(&self.positional) {
            *slot = Some(value.clone());
        }
        for (name, value) in &self.named {
            let index = names
                .iter()
                .position(|known| known == name)
                .ok_or(Raise::Type)?;
            if bound[index].replace(value.clone()).is_some() {
                return Err(Raise::Type);
            }
        }
        if bound[..required].iter().any(Option::is_none) {
            return Err(Raise::Type);
        }
        Ok(bound)
    }

    /// The one argument there must be.
    pub(super) fn one(&self) -> Result<Value<'a>> {
        let [value] = self.bind([""], 1)?;
        value.ok_or(Raise::Type)
    }

    /// No argument may be given.
    pub(super) fn none(&self) -> Result<()> {
        self.bind([], 0).map(|[]| ())
    }
}
