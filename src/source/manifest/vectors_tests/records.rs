//! `records.json`: extraction, filters, transformations, normalisation, and all in order.

use bytes::Bytes;

use super::{Verdict, node, run, slice_of, text, verdict};
use crate::clock::Clock;
use crate::json::{Map, NOT_A_NUMBER, Value};
use crate::source::manifest::decode::Decoder;
use crate::source::manifest::extract::DpathExtractor;
use crate::source::manifest::filter::RecordFilter;
use crate::source::manifest::normalize::normalize;
use crate::source::manifest::select::RecordSelector;
use crate::source::manifest::template::Context;
use crate::source::manifest::transform::Transformation;

#[test]
fn records_come_out_as_in_the_reference() {
    run("records", |item| match text(item, "what") {
        "extractor" => extractor(item),
        "filter" => filter(item),
        "transformation" => transformation(item),
        "normalization" => normalization(item),
        "selector" => selector(item),
        what => panic!("unknown kind {what}"),
    });
}

fn extractor(item: &Value) -> Verdict {
    let body: Bytes = match item.get("body") {
        Some(body) => body.to_json().into(),
        None => text(item, "body_text").to_owned().into(),
    };
    let definition = object(&[
        ("type", Value::from("DpathExtractor")),
        ("field_path", item.get("field_path").unwrap().clone()),
    ]);
    let config = match item
        .get("context")
        .and_then(|context| context.get("config"))
    {
        Some(config) => config.clone(),
        None => object(&[("key", Value::from("data"))]),
    };
    let context = Context::new(Clock::System).with("config", &config);
    let extractor = DpathExtractor::build(&node(&definition)).unwrap();
    let path = extractor.path(&context).unwrap();
    let documents = Decoder::Json
        .decode_as_the_reference(body, 1 << 20)
        .unwrap();
    let slices = path.slices(&documents[0], None);
    let values = slices.map(|records| {
        let records = records
            .iter()
            .map(|record| python(crate::json::parse(record).unwrap()));
        Value::Array(records.collect())
    });
    verdict(item, values.map_err(|error| error.to_string()))
}

/// As the vectors show what JSON cannot.
fn python(value: Value) -> Value {
    match value {
        Value::BigNumber(text) if *text == *NOT_A_NUMBER => object(&[
            ("$python", Value::from("float")),
            ("repr", Value::from("nan")),
        ]),
        Value::Object(map) => map
            .into_iter()
            .map(|(key, value)| (key, python(value)))
            .collect::<crate::json::Map>()
            .into(),
        other => other,
    }
}

fn filter(item: &Value) -> Verdict {
    let definition = object(&[
        ("type", Value::from("RecordFilter")),
        ("condition", item.get("condition").unwrap().clone()),
    ]);
    let filter = RecordFilter::build(&node(&definition)).unwrap();
    let kept = in_context(item, |context| {
        filter.keeps(item.get("record").unwrap(), context)
    });
    verdict(
        item,
        kept.map(Value::Bool).map_err(|error| error.to_string()),
    )
}

fn transformation(item: &Value) -> Verdict {
    let definition = node(item.get("definition").unwrap());
    let transformation = match Transformation::build(&definition) {
        Ok(transformation) => transformation,
        Err(problem) => return verdict(item, Err(problem.to_string())),
    };
    let mut record = item.get("record").unwrap().as_object().unwrap().clone();
    let done = in_context(item, |context| transformation.apply(&mut record, context));
    verdict(
        item,
        done.map(|()| Value::Object(record))
            .map_err(|error| error.to_string()),
    )
}

fn normalization(item: &Value) -> Verdict {
    let mut record = item.get("record").unwrap().as_object().unwrap().clone();
    normalize(&mut record, item.get("schema").unwrap());
    verdict(item, Ok(Value::Object(record)))
}

fn selector(item: &Value) -> Verdict {
    let mut definition = item.get("selector").unwrap().as_object().unwrap().clone();
    let extractor = object(&[
        ("type", Value::from("DpathExtractor")),
        ("field_path", Value::Array(Vec::new())),
    ]);
    definition.insert("extractor".to_owned(), extractor);
    let transformations = node(item.get("transformations").unwrap());
    let selector = RecordSelector::build(
        &node(&Value::Object(definition)),
        transformations.items(),
        item.get("schema"),
        false,
    )
    .unwrap();
    let documents = Decoder::Json
        .decode(item.get("body").unwrap().to_json().into(), usize::MAX)
        .unwrap();
    let selected = in_context(item, |context| selector.select(&documents, context, None));
    let records = selected.map(|selected| {
        assert!(selected.rejected.is_empty(), "{:?}", selected.rejected);
        let records = selected.records.iter();
        Value::Array(
            records
                .map(|record| crate::json::parse(record).unwrap())
                .collect(),
        )
    });
    verdict(item, records.map_err(|error| error.to_string()))
}

/// Evaluates with the item's `context`.
fn in_context<T>(item: &Value, evaluate: impl FnOnce(&Context<'_>) -> T) -> T {
    let given = item.get("context").unwrap();
    let clock = match given.get("now").and_then(Value::as_str) {
        Some(now) => Clock::Frozen(now.parse().unwrap()),
        None => Clock::System,
    };
    let empty = object(&[]);
    let slice = slice_of(given.get("stream_slice").unwrap_or(&empty));
    let context = Context::new(clock)
        .with("config", given.get("config").unwrap_or(&empty))
        .with("stream_slice", slice.view())
        .with("next_page_token", given.get("next_page_token"));
    evaluate(&context)
}

fn object(members: &[(&str, Value)]) -> Value {
    members
        .iter()
        .map(|(key, value)| ((*key).to_owned(), value.clone()))
        .collect::<Map>()
        .into()
}
