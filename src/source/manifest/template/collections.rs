//! Filters over collections: picking, mapping, ordering.

use std::cmp::Ordering;

use super::ast::BinaryOp;
use super::call::Call;
use super::eval::Evaluator;
use super::names::{Filter, Test};
use super::value::{Raise, Result, SeqKind, Value, fail};
use super::{access, filters, operators, predicates, print};

/// Applies one of the filters that go through a collection.
pub(super) fn apply<'a>(
    evaluator: &mut Evaluator<'a>,
    filter: Filter,
    subject: &Value<'a>,
    args: &Call<'a>,
) -> Result<Value<'a>> {
    match filter {
        Filter::List => subject.items().map(Value::list),
        Filter::First => Ok(first(subject.items()?)),
        Filter::Last => {
            let mut items = subject.items()?;
            items.reverse();
            Ok(first(items))
        }
        Filter::Reverse => match subject {
            Value::Str(text) => Ok(Value::text(text.as_str().chars().rev().collect::<String>())),
            other => {
                let Ok(mut items) = other.items() else {
                    return fail("argument must be iterable");
                };
                items.reverse();
                Ok(Value::list(items))
            }
        },
        Filter::Items => Ok(Value::list(Vec::new())),
        Filter::Attr => {
            let name = args.one()?;
            let Value::Str(name) = name else {
                return Err(name.misuse());
            };
            let value = access::attribute(subject, name)?;
            // Unlike `.`, this filter does not look at items.
            Ok(
                if subject.is_mapping() && !matches!(value, Value::Method(_)) {
                    Value::undefined()
                } else {
                    value
                },
            )
        }
        Filter::Join => join(subject, args),
        Filter::Sum => sum(subject, args),
        Filter::Map => map(evaluator, subject, args),
        Filter::Select | Filter::Reject | Filter::SelectAttr | Filter::RejectAttr => {
            select(evaluator, filter, subject, args)
        }
        Filter::Sort => {
            let [reverse, sensitive, attribute] =
                args.bind(["reverse", "case_sensitive", "attribute"], 0)?;
            let items = reversed_if(subject.items()?, reverse.as_ref());
            let items = sorted(evaluator, items, sensitive.as_ref(), attribute.as_ref())?;
            Ok(Value::list(reversed_if(items, reverse.as_ref())))
        }
        Filter::Min | Filter::Max => {
            let [sensitive, attribute] = args.bind(["case_sensitive", "attribute"], 0)?;
            extreme(
                filter,
                subject.items()?,
                sensitive.as_ref(),
                attribute.as_ref(),
            )
        }
        Filter::Unique => {
            let [sensitive, attribute] = args.bind(["case_sensitive", "attribute"], 0)?;
            unique(evaluator, subject, sensitive.as_ref(), attribute.as_ref())
        }
        Filter::DictSort => dict_sort(evaluator, subject, args),
        // The other filters do not come here.
        _ => Err(Raise::Type),
    }
}

fn first(items: Vec<Value<'_>>) -> Value<'_> {
    items.into_iter().next().unwrap_or_else(Value::undefined)
}

/// Turned round before and after a stable sort, equal items keep their order.
fn reversed_if<'a>(mut items: Vec<Value<'a>>, reverse: Option<&Value<'a>>) -> Vec<Value<'a>> {
    if reverse.is_some_and(Value::is_truthy) {
        items.reverse();
    }
    items
}

/// `item[a][b]` for the attribute `a.b`.
fn pick<'a>(item: &Value<'a>, attribute: Option<&Value<'a>>) -> Result<Value<'a>> {
    match attribute {
        None | Some(Value::None) => Ok(item.clone()),
        Some(Value::Str(path)) => {
            let mut value = item.clone();
            for part in path.as_str().split('.') {
                let key = part.parse().map_or_else(|_| Value::text(part), Value::Int);
                value = access::item(&value, &key)?;
            }
            Ok(value)
        }
        Some(key) => access::item(item, key),
    }
}

fn join<'a>(subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    let [separator, attribute] = args.bind(["d", "attribute"], 0)?;
    let separator = separator.as_ref().map_or(Ok(String::new()), print::text)?;
    let mut out = String::new();
    for (index, item) in subject.items()?.iter().enumerate() {
        if index > 0 {
            out.push_str(&separator);
        }
        print::print(&pick(item, attribute.as_ref())?, &mut out)?;
    }
    Ok(Value::text(out))
}

fn sum<'a>(subject: &Value<'a>, args: &Call<'a>) -> Result<Value<'a>> {
    let [attribute, start] = args.bind(["attribute", "start"], 0)?;
    subject
        .items()?
        .iter()
        .try_fold(start.unwrap_or(Value::Int(0)), |total, item| {
            operators::binary(BinaryOp::Add, &total, &pick(item, attribute.as_ref())?)
        })
}

/// Items of a collection, or none of anything false: these filters look before they iterate.
fn items_if_any<'a>(subject: &Value<'a>) -> Result<Vec<Value<'a>>> {
    match subject {
        Value::Undefined(_) => subject.items(),
        _ if !subject.is_truthy() => Ok(Vec::new()),
        _ => subject.items(),
    }
}

/// `map(attribute=…, default=…)` or `map('filter', …)`
fn map<'a>(
    evaluator: &mut Evaluator<'a>,
    subject: &Value<'a>,
    args: &Call<'a>,
) -> Result<Value<'a>> {
    let items = items_if_any(subject)?;
    let mut mapped = Vec::with_capacity(items.len());
    if args.positional.is_empty() {
        let [attribute, default] = args.bind(["attribute", "default"], 1)?;
        for item in &items {
            evaluator.charge(1)?;
            let value = pick(item, attribute.as_ref())?;
            let default = default
                .as_ref()
                .filter(|_| matches!(value, Value::Undefined(_)));
            mapped.push(default.cloned().unwrap_or(value));
        }
        return Ok(Value::list(mapped));
    }
    let name = args.positional[0].expect_str()?;
    let filter = match Filter::named(name) {
        // Filters that call filters could nest without end.
        None | Some(Filter::Map) => return fail(format!("cannot map the filter `{name}`")),
        Some(filter) => filter,
    };
    let args = Call {
        positional: args.positional[1..].to_vec(),
        named: args.named.clone(),
    };
    for item in &items {
        evaluator.charge(1)?;
        evaluator.charge_for(item)?;
        mapped.push(filters::apply(evaluator, filter, item, &args)?);
    }
    Ok(Value::list(mapped))
}

/// `select('test', …)`, `selectattr('attribute', 'test', …)` and their opposites.
fn select<'a>(
    evaluator: &mut Evaluator<'a>,
    filter: Filter,
    subject: &Value<'a>,
    args: &Call<'a>,
) -> Result<Value<'a>> {
    let keeps = matches!(filter, Filter::Select | Filter::SelectAttr);
    let mut rest = &*args.positional;
    let mut attribute = None;
    if matches!(filter, Filter::SelectAttr | Filter::RejectAttr) {
        let Some((first, others)) = rest.split_first() else {
            return fail("missing name of the attribute");
        };
        (attribute, rest) = (Some(first), others);
    }
    let test = match rest.split_first() {
        None => None,
        Some((name, _)) => {
            let name = name.expect_str()?;
            match Test::named(name) {
                Some(test) => Some(test),
                None => return fail(format!("unknown test `{name}`")),
            }
        }
    };
    let mut kept = Vec::new();
    for item in items_if_any(subject)? {
        evaluator.charge(1)?;
        let value = pick(&item, attribute)?;
        let passes = match test {
            None => value.is_truthy(),
            Some(test) => predicates::check(test, &value, &rest[1..])?,
        };
        if passes == keeps {
            kept.push(item);
        }
    }
    Ok(Value::list(kept))
}

/// What an item is ordered by: without case unless that is asked for.
fn sort_key<'a>(
    item: &Value<'a>,
    sensitive: Option<&Value<'a>>,
    attribute: Option<&Value<'a>>,
) -> Result<Value<'a>> {
    let key = pick(item, attribute)?;
    Ok(match &key {
        Value::Str(text) if !sensitive.is_some_and(Value::is_truthy) => {
            Value::text(text.as_str().to_lowercase())
        }
        _ => key,
    })
}

/// Sorts by keys, stably. Unlike the standard sort, the comparison may fail.
fn sorted<'a>(
    evaluator: &mut Evaluator<'a>,
    items: Vec<Value<'a>>,
    sensitive: Option<&Value<'a>>,
    attribute: Option<&Value<'a>>,
) -> Result<Vec<Value<'a>>> {
    let mut keyed = Vec::with_capacity(items.len());
    for item in items {
        keyed.push((sort_key(&item, sensitive, attribute)?, item));
    }
    let sorted = merge_sort(evaluator, keyed)?;
    Ok(sorted.into_iter().map(|(_, item)| item).collect())
}

type Keyed<'a> = Vec<(Value<'a>, Value<'a>)>;

fn merge_sort<'a>(evaluator: &mut Evaluator<'a>, mut items: Keyed<'a>) -> Result<Keyed<'a>> {
    if items.len() < 2 {
        return Ok(items);
    }
    let right = items.split_off(items.len() / 2);
    let mut left = merge_sort(evaluator, items)?.into_iter().peekable();
    let mut right = merge_sort(evaluator, right)?.into_iter().peekable();
    let mut merged = Vec::new();
    while let (Some(a), Some(b)) = (left.peek(), right.peek()) {
        evaluator.charge(1)?;
        let takes_right = operators::order(&b.0, &a.0)? == Some(Ordering::Less);
        merged.extend(if takes_right {
            right.next()
        } else {
            left.next()
        });
    }
    merged.extend(left);
    merged.extend(right);
    Ok(merged)
}

fn extreme<'a>(
    filter: Filter,
    items: Vec<Value<'a>>,
    sensitive: Option<&Value<'a>>,
    attribute: Option<&Value<'a>>,
) -> Result<Value<'a>> {
    let wanted = if filter == Filter::Max {
        Ordering::Greater
    } else {
        Ordering::Less
    };
    let mut best: Option<(Value<'a>, Value<'a>)> = None;
    for item in items {
        let key = sort_key(&item, sensitive, attribute)?;
        let better = match &best {
            None => true,
            Some((best, _)) => operators::order(&key, best)? == Some(wanted),
        };
        if better {
            best = Some((key, item));
        }
    }
    Ok(best.map_or_else(Value::undefined, |(_, item)| item))
}

fn unique<'a>(
    evaluator: &mut Evaluator<'a>,
    subject: &Value<'a>,
    sensitive: Option<&Value<'a>>,
    attribute: Option<&Value<'a>>,
) -> Result<Value<'a>> {
    let mut seen: Vec<Value<'a>> = Vec::new();
    let mut kept = Vec::new();
    'items: for item in subject.items()? {
        let key = sort_key(&item, sensitive, attribute)?;
        access::expect_hashable(&key)?;
        evaluator.charge(1 + seen.len() / 8)?;
        for other in &seen {
            if operators::equal(other, &key)? {
                continue 'items;
            }
        }
        seen.push(key);
        kept.push(item);
    }
    Ok(Value::list(kept))
}

/// Pairs of a dict, by key or value.
fn dict_sort<'a>(
    evaluator: &mut Evaluator<'a>,
    subject: &Value<'a>,
    args: &Call<'a>,
) -> Result<Value<'a>> {
    let [sensitive, by, reverse] = args.bind(["case_sensitive", "by", "reverse"], 0)?;
    let position = match by.as_ref().map_or(Ok("key"), Value::expect_str)? {
        "key" => 0,
        "value" => 1,
        _ => return fail("a dict is sorted by key or value"),
    };
    let entries = match (subject.entries(), subject) {
        (Some(entries), _) => entries,
        (None, Value::Undefined(_)) => return Err(subject.misuse()),
        (None, other) => return fail(format!("{} has no items", other.type_name())),
    };
    let pairs = entries
        .into_iter()
        .map(|(key, value)| Value::Seq(SeqKind::Tuple, vec![key, value].into()))
        .collect();
    let pairs = reversed_if(pairs, reverse.as_ref());
    let items = sorted(
        evaluator,
        pairs,
        sensitive.as_ref(),
        Some(&Value::Int(position)),
    )?;
    Ok(Value::list(reversed_if(items, reverse.as_ref())))
}
