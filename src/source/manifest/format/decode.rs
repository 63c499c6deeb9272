//! Decoders.

use super::{Component, Kind::*, of, opt, req};

pub(super) const NAMES: &[&str] = &[
    "JsonDecoder",
    "JsonItemsDecoder",
    "JsonlDecoder",
    "IterableDecoder",
    "CsvDecoder",
    "XmlDecoder",
    "GzipDecoder",
    "ZipfileDecoder",
    "CustomDecoder",
];
const INNER: &[&str] = &[
    "CsvDecoder",
    "GzipDecoder",
    "JsonDecoder",
    "JsonItemsDecoder",
    "JsonlDecoder",
];

pub(super) const COMPONENTS: &[Component] = &[
    of("JsonDecoder", "The answer is one JSON document.", &[]),
    of(
        "JsonItemsDecoder",
        "The elements of a list within one large JSON document.",
        &[
            req(
                "items_path",
                Text,
                "Keys that lead to the list, with dots between them.",
            ),
            opt("encoding", Text, "Encoding of the answer.").or("\"utf-8\""),
        ],
    ),
    of("JsonlDecoder", "Every line is a JSON document.", &[]),
    of(
        "IterableDecoder",
        "Every line becomes {\"record\": line}.",
        &[],
    ),
    of(
        "CsvDecoder",
        "Every row after the header becomes an object of texts.",
        &[
            opt("encoding", Text, "Encoding of the answer.").or("\"utf-8\""),
            opt("delimiter", Text, "What stands between fields.").or("\",\""),
            opt("set_values_to_none", Texts, "Texts that become null."),
        ],
    ),
    of(
        "XmlDecoder",
        "The answer is XML; attributes become keys that begin with @.",
        &[],
    ),
    of(
        "GzipDecoder",
        "The answer is compressed.",
        &[req("decoder", Component(INNER), "What is inside.")],
    ),
    of(
        "ZipfileDecoder",
        "The answer is a ZIP archive.",
        &[req("decoder", Component(INNER), "What each file in it is.")],
    ),
    super::custom("CustomDecoder"),
];
