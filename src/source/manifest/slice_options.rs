//! What a slice adds to every request: the value of its partition, the bounds of its window.

use super::expr::Expr;
use super::fields::{optional, type_of};
use super::options::{RequestOption, RequestOptions};
use super::slice::StreamSlice;
use super::template::{Context, EvalError, Literal};
use crate::document::{Node, Problem};
use crate::json::Value;

/// What a slice adds to requests.
#[derive(Debug, Clone, Default)]
pub(super) struct SliceOptions(Vec<SliceOption>);

#[derive(Debug, Clone)]
struct SliceOption {
    option: RequestOption,
    /// The key of the slice whose value is sent.
    key: Expr,
    of_cursor: bool,
}

impl SliceOptions {
    /// The options of one slice. `context` offers the configuration.
    pub(super) fn of(
        &self,
        slice: &StreamSlice,
        context: &Context<'_>,
    ) -> Result<RequestOptions, EvalError> {
        let mut options = RequestOptions::default();
        for SliceOption {
            option,
            key,
            of_cursor,
        } in &self.0
        {
            let key = key.text(context)?;
            let from = if *of_cursor {
                &slice.cursor
            } else {
                &slice.partition
            };
            let value = match from.get(&key) {
                Some(Value::String(text)) if !text.is_empty() => Literal::Str(text.clone()),
                Some(Value::Int(number)) if *number != 0 || *of_cursor => Literal::Int(*number),
                Some(Value::Float(number)) if *number != 0.0 => Literal::Float(*number),
                Some(Value::Bool(true)) => Literal::Bool(true),
                Some(value @ (Value::Array(_) | Value::Object(_) | Value::BigNumber(_))) => {
                    Literal::Str(value.to_string())
                }
                // A value that is nothing is not sent.
                _ => continue,
            };
            option.inject(&mut options, value, context)?;
        }
        Ok(options)
    }
}

impl SliceOptions {
    /// Whether a slice adds nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether the bounds of a window are sent.
    pub(super) fn sends_window(&self) -> bool {
        self.0.iter().any(|option| option.of_cursor)
    }

    pub(super) fn add(
        &mut self,
        node: &Node,
        field: &str,
        key: &Expr,
        of_cursor: bool,
    ) -> Result<(), Problem> {
        if let Some(option) = optional(node, field) {
            self.0.push(SliceOption {
                option: RequestOption::build(option)?,
                key: key.clone(),
                of_cursor,
            });
        }
        Ok(())
    }

    pub(super) fn add_cursor(&mut self, node: &Node) -> Result<(), Problem> {
        if type_of(node) == Some("IncrementingCountCursor") {
            let key = Expr::constant("start", node)?;
            return self.add(node, "start_value_option", &key, true);
        }
        for (option, field, default) in [
            ("start_time_option", "partition_field_start", "start_time"),
            ("end_time_option", "partition_field_end", "end_time"),
        ] {
            let key = match Expr::field(node, field)? {
                Some(key) if !key.template().source().is_empty() => key,
                _ => Expr::constant(default, node)?,
            };
            self.add(node, option, &key, true)?;
        }
        Ok(())
    }
}
