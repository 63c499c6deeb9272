//! What bodies decode to.

use std::io::Write;

use super::{DecodeError, Decoder};
use crate::document::parse_yaml;

fn decoder(yaml: &str) -> Decoder {
    Decoder::build(&parse_yaml("m.yaml", yaml).unwrap()).unwrap()
}

fn decoded(yaml: &str, body: &[u8]) -> Vec<String> {
    let documents = decoder(yaml).decode(body.to_vec().into(), 1 << 20).unwrap();
    documents
        .iter()
        .map(|document| String::from_utf8_lossy(document).into_owned())
        .collect()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

#[test]
fn each_format_gives_its_documents() {
    let csv = "{type: CsvDecoder}";
    let cases: [(&str, &str, &[&str]); 9] = [
        ("{type: JsonDecoder}", " {} ", &[" {} "]),
        (
            "{type: JsonlDecoder}",
            "{\"a\":1}\r\n\n{}\n",
            &["{\"a\":1}", "{}"],
        ),
        (
            "{type: IterableDecoder}",
            "a\nb",
            &["{\"record\":\"a\"}", "{\"record\":\"b\"}"],
        ),
        (csv, "", &[]),
        (
            csv,
            "a,b\n1,2\n\n\"x,\"\"y\"\"\n\",\n",
            &[
                "{\"a\":\"1\",\"b\":\"2\"}",
                "{\"a\":\"x,\\\"y\\\"\\n\",\"b\":\"\"}",
            ],
        ),
        (
            csv,
            "\u{feff}a,b\r\n1\r\n1,2,3",
            &["{\"a\":\"1\",\"b\":null}", "{\"a\":\"1\",\"b\":\"2\"}"],
        ),
        (csv, "a\n\"\"\n", &["{\"a\":\"\"}"]),
        (
            "{type: CsvDecoder, delimiter: '\\t', set_values_to_none: ['-']}",
            "a\tb\n-\t2",
            &["{\"a\":null,\"b\":\"2\"}"],
        ),
        (
            "{type: GzipDecoder, decoder: {type: JsonDecoder}}",
            "{}",
            &["{}"],
        ),
    ];
    for (yaml, body, expected) in cases {
        assert_eq!(decoded(yaml, body.as_bytes()), expected, "{yaml} {body}");
    }
    assert_eq!(
        decoded("{type: CsvDecoder, encoding: latin-1}", b"a\n\xe9"),
        ["{\"a\":\"é\"}"]
    );
}

#[test]
fn decompression_is_bounded() {
    let yaml = "{type: GzipDecoder, decoder: {type: JsonlDecoder}}";
    assert_eq!(decoded(yaml, &gzip(b"1\n2")), ["1", "2"]);
    let bomb = gzip(&vec![b'0'; 2 << 20]);
    assert!(matches!(
        decoder(yaml).decode(bomb.into(), 1 << 20),
        Err(DecodeError::TooLarge { .. })
    ));
    let exact = gzip(&[b'0'; 100]);
    assert!(decoder(yaml).decode(exact.into(), 100).is_ok());
    let cut = gzip(b"hello")[..12].to_vec();
    assert!(matches!(
        decoder(yaml).decode(cut.into(), 100),
        Err(DecodeError::Gzip(_))
    ));
}

#[test]
fn few_bytes_do_not_become_many() {
    let header: Vec<String> = (0..1000).map(|column| format!("column {column}")).collect();
    let wide = format!("{}\n{}", header.join(","), "1\n".repeat(1000));
    assert!(matches!(
        decoder("{type: CsvDecoder}").decode(wide.into(), 1 << 20),
        Err(DecodeError::TooLarge { .. })
    ));
    let many = "1\n".repeat(super::MAX_DOCUMENTS + 1);
    assert!(matches!(
        decoder("{type: JsonlDecoder}").decode(many.into(), usize::MAX),
        Err(DecodeError::TooMany)
    ));
}

#[test]
fn unknown_decoders_are_named() {
    let node = parse_yaml("m.yaml", "{type: XmlDecoder}").unwrap();
    let problem = Decoder::build(&node).unwrap_err().to_string();
    assert!(
        problem.contains("XmlDecoder is not a supported decoder"),
        "{problem}"
    );
}
