//! What bodies decode to.

use std::io::Write;

use proptest::prelude::*;

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
fn xml_becomes_an_object_as_in_python() {
    let xml = "{type: XmlDecoder}";
    for (body, expected) in [
        ("<a/>", r#"{"a":null}"#),
        ("<a> x </a>", r#"{"a":"x"}"#),
        (
            "<?xml version=\"1.0\"?><!-- c --><r><i id='1'>one</i><i id=\"2\"/><e> </e></r>",
            r##"{"r":{"i":[{"@id":"1","#text":"one"},{"@id":"2"}],"e":null}}"##,
        ),
        (
            "<n:r xmlns:n='u'>a&amp;b<n:c>&#65;<![CDATA[<]]></n:c>d</n:r>",
            r##"{"n:r":{"@xmlns:n":"u","n:c":"A<","#text":"a&bd"}}"##,
        ),
        (
            "<l><i>1</i><i>2</i><i>3</i></l>",
            r#"{"l":{"i":["1","2","3"]}}"#,
        ),
    ] {
        assert_eq!(decoded(xml, body.as_bytes()), [expected], "{body}");
    }
    assert_eq!(
        decoded(
            xml,
            b"<?xml version='1.0' encoding='ISO-8859-1'?><a>\xe9</a>"
        ),
        ["{\"a\":\"\u{e9}\"}"]
    );
    let deep = "<a>".repeat(100_000);
    let bomb = "<!DOCTYPE a [<!ENTITY b \"x\">]><a>&b;</a>";
    for wrong in [
        "",
        "<a>",
        "<a></b>",
        "</a>",
        "{}",
        "<a>&b;</a>",
        bomb,
        &deep,
        "<a/><b",
    ] {
        let result = decoder(xml).decode(wrong.to_owned().into(), 1 << 20);
        assert!(
            matches!(result, Err(DecodeError::Xml(_))),
            "{wrong:.20}: {result:?}"
        );
        let result = decoder(xml).decode_as_the_reference(wrong.to_owned().into(), 1 << 20);
        assert_eq!(result.unwrap(), ["{}"], "{wrong:.20}");
    }
}

#[test]
fn the_elements_of_a_nested_list_are_documents() {
    let items = |path: &str| format!("{{type: JsonItemsDecoder, items_path: {path}}}");
    let body = br#" {"data":{"users":[{"a":1}, {"a":[2]}],"n":3},"l":[{"x":[1]},{"x":[2,3]}]} "#;
    for (path, expected) in [
        ("data.users", &["{\"a\":1}", "{\"a\":[2]}"][..]),
        ("data.n", &[]),
        ("data.none.at.all", &[]),
        ("l.item.x", &["1", "2", "3"]),
    ] {
        assert_eq!(decoded(&items(path), body), expected, "{path}");
    }
    let broken = decoder(&items("a")).decode("{\"a\":[1".into(), 100);
    assert!(matches!(broken, Err(DecodeError::Json(_))));
}

/// An archive of these files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, content) in files {
        let options = zip::write::SimpleFileOptions::default()
            .compression_method(zip::CompressionMethod::Deflated);
        writer.start_file(*name, options).unwrap();
        writer.write_all(content).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

#[test]
fn every_file_of_an_archive_is_decoded() {
    let yaml = "{type: ZipfileDecoder, decoder: {type: CsvDecoder}}";
    let body = archive(&[("b.csv", b"a\n1\n"), ("a.csv", b"a\n2\n")]);
    assert_eq!(decoded(yaml, &body), [r#"{"a":"1"}"#, r#"{"a":"2"}"#]);
    let inner = gzip(b"{\"a\":1}\n");
    let nested =
        "{type: ZipfileDecoder, decoder: {type: GzipDecoder, decoder: {type: JsonlDecoder}}}";
    assert_eq!(
        decoded(nested, &archive(&[("x.gz", &inner)])),
        [r#"{"a":1}"#]
    );
    let bomb = archive(&[("a", &vec![b'0'; 1 << 20]), ("b", &vec![b'0'; 1 << 20])]);
    let result = decoder(yaml).decode(bomb.into(), (1 << 20) + 10);
    assert!(
        matches!(result, Err(DecodeError::TooLarge { .. })),
        "{result:?}"
    );
    for wrong in [&b""[..], b"PK\x03\x04", &body[..body.len() / 2]] {
        let result = decoder(yaml).decode(wrong.to_vec().into(), 1 << 20);
        assert!(matches!(result, Err(DecodeError::Zip(_))), "{result:?}");
    }
}

proptest! {
    #[test]
    fn no_body_makes_a_decoder_panic(body in prop::collection::vec(any::<u8>(), 0..200), text in "[<>/a&;!\\[\\]= '\"x-]{0,60}") {
        for kind in ["XmlDecoder", "CsvDecoder", "IterableDecoder"] {
            let decoder = decoder(&format!("{{type: {kind}}}"));
            for body in [body.clone(), text.clone().into_bytes()] {
                drop(decoder.decode(body.into(), 1 << 16));
            }
        }
        let mut zipped = archive(&[("a", b"a\n1")]);
        for (at, byte) in body.iter().enumerate() {
            let length = zipped.len();
            zipped[(at * 31 + usize::from(*byte)) % length] ^= byte;
        }
        let decoder = decoder("{type: ZipfileDecoder, decoder: {type: CsvDecoder}}");
        drop(decoder.decode(zipped.into(), 1 << 16));
    }
}

#[test]
fn unknown_decoders_are_named() {
    let node = parse_yaml("m.yaml", "{type: CustomDecoder}").unwrap();
    let problem = Decoder::build(&node).unwrap_err().to_string();
    assert!(
        problem.contains("CustomDecoder is not a supported decoder"),
        "{problem}"
    );
}
