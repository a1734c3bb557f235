use proptest::prelude::*;

use super::*;

const BOUNDARY: &str = "multipart/form-data; boundary=----b";

fn text(name: &str, value: &str) -> Field {
    Field::Text { name: name.into(), value: value.into() }
}

fn read(body: &[u8]) -> Result<Vec<Field>, FormError> {
    FormFields::parse(URLENCODED, body).map(|form| form.fields)
}

/// Multipart body as a browser writes it: each part's headers after the name, and its content.
fn parts(parts: &[(&str, &str)]) -> Vec<u8> {
    let parts = parts.iter().map(|(head, content)| {
        format!("------b\r\nContent-Disposition: form-data; name=\"{head}\r\n\r\n{content}\r\n")
    });
    format!("{}------b--\r\n", parts.collect::<String>()).into_bytes()
}

#[test]
fn an_urlencoded_form_is_read_in_order() {
    let table: [(&[u8], Vec<Field>); 7] = [
        (b"", vec![]),
        (b"a=1&b=2&a=3", vec![text("a", "1"), text("b", "2"), text("a", "3")]),
        (b"a+b=c+d%2B", vec![text("a b", "c d+")]),
        (b"a=b=c&&d", vec![text("a", "b=c"), text("d", "")]),
        (b"a=%C3%A9%0D%0A", vec![text("a", "é\r\n")]),
        (b"a=%zz%4", vec![text("a", "%zz%4")]),
        (b"submit=&_charset_=UTF-8", vec![text("submit", ""), text("_charset_", "UTF-8")]),
    ];
    for (body, expected) in table {
        assert_eq!(read(body), Ok(expected), "{}", String::from_utf8_lossy(body));
    }
}

#[test]
fn a_multipart_form_is_read_in_order() {
    let none = "file\"; filename=\"\"\r\nContent-Type: application/octet-stream";
    let body = parts(&[("note\"", "line\r\nline--\r\n"), (none, ""), ("a%22b\"", ""), ("note\"", "é")]);

    let form = FormFields::parse(BOUNDARY, &body).unwrap();

    let file = Field::NoFile { name: b"file".to_vec() };
    assert_eq!(form.fields, [text("note", "line\r\nline--\r\n"), file, text("a%22b", ""), text("note", "é")]);
    assert_eq!(FormFields::parse("multipart/form-data; Boundary=\"----b\"", &body), Ok(form));
    assert_eq!(FormFields::parse(BOUNDARY, b"------b--\r\n").unwrap().fields, []);
}

#[test]
fn a_form_that_no_page_would_send_again_is_refused() {
    let urlencoded: [(&[u8], &str); 4] =
        [(b"=x", "no name"), (b"a=1&=", "no name"), (b"a=%00", "NUL"), (b"a%00=1", "NUL in a name")];
    for (body, reason) in urlencoded {
        assert_eq!(read(body), Err(FormError::Unsupported), "{reason}");
    }
    let bodies = [
        (b"".to_vec(), "nothing"),
        (b"------b".to_vec(), "no end"),
        (b"------b\r\n------b--".to_vec(), "a part without a head"),
        (b"preamble\r\n------b--\r\n".to_vec(), "a preamble"),
        ([parts(&[("a\"", "1")]), b"epilogue".to_vec()].concat(), "an epilogue"),
        (parts(&[("a", "1")]), "a name without its end"),
        (parts(&[("\"", "1")]), "an empty name"),
        (parts(&[("a\"\r\nContent-Type: text/plain", "1")]), "a type of a part that is no file"),
        (parts(&[("a\"\r\nContent-Transfer-Encoding: base64", "1")]), "an encoding of a part"),
        (parts(&[("a\"; x=\"y\"", "1")]), "another parameter"),
        (parts(&[("a\"", "\0")]), "NUL"),
        (b"------b\r\nContent-Disposition: attachment; name=\"a\"\r\n\r\n1\r\n------b--".to_vec(), "no form-data"),
    ];
    for (body, reason) in bodies {
        assert_eq!(FormFields::parse(BOUNDARY, &body), Err(FormError::Unsupported), "{reason}");
    }
    for content_type in ["text/plain", "application/json", MULTIPART, "multipart/form-data; boundary=", ""] {
        assert_eq!(FormFields::parse(content_type, b"a=1"), Err(FormError::Unsupported), "{content_type}");
    }
}

#[test]
fn a_file_is_named_as_the_reason() {
    for (head, content) in [
        ("f\"; filename=\"a.txt\"\r\nContent-Type: text/plain", "x"),
        ("f\"; filename=\"a.txt\"\r\nContent-Type: text/plain", ""),
        ("f\"; filename=\"\"\r\nContent-Type: application/octet-stream", "x"),
        ("f\"; filename=\"\"\r\nContent-Type: image/png", ""),
        ("f\"; filename*=UTF-8''a\r\nContent-Type: text/plain", "x"),
    ] {
        let body = parts(&[("note\"", "1"), (head, content)]);
        assert_eq!(FormFields::parse(BOUNDARY, &body), Err(FormError::File), "{head}");
    }
}

#[test]
fn a_form_with_too_many_fields_is_too_large() {
    let largest = "a=&".repeat(MAX_FIELDS);
    let beyond = "a=&".repeat(MAX_FIELDS + 1);

    assert_eq!(read(largest.as_bytes()).map(|fields| fields.len()), Ok(MAX_FIELDS));
    assert_eq!(read(beyond.as_bytes()), Err(FormError::TooLarge));
}

#[test]
fn no_field_is_markup() {
    let form = FormFields::parse(URLENCODED, b"a%22%3E%3Cscript%3E=%3C%2Fform%3E%26%27%0D%0A").unwrap();

    let expected =
        "<input type=\"hidden\" name=\"a&quot;&gt;&lt;script&gt;\" value=\"&lt;/form&gt;&amp;&#39;&#13;&#10;\">";
    assert_eq!(form.inputs(), expected);
    assert_eq!(form.attributes(), "enctype=\"application/x-www-form-urlencoded\" accept-charset=\"utf-8\"");
}

#[test]
fn the_names_that_browsers_fill_in_themselves_are_kept() {
    let none = "f\"; filename=\"\"\r\nContent-Type: application/octet-stream";

    let form = FormFields::parse(BOUNDARY, &parts(&[("_charset_\"", "iso-8859-1"), (none, "")])).unwrap();

    let charset = "<input type=\"text\" name=\"_charset_\" value=\"iso-8859-1\" hidden>";
    assert_eq!(form.inputs(), format!("{charset}<input type=\"file\" name=\"f\" hidden>"));
}

#[test]
fn bytes_of_another_charset_become_characters_of_their_own() {
    let all: Vec<u8> = (1..=255).collect();
    let body: String = all.iter().map(|byte| format!("%{byte:02X}")).collect();

    let form = FormFields::parse(URLENCODED, format!("a={body}").as_bytes()).unwrap();

    assert_eq!(form.charset, Charset::Windows1252);
    assert!(form.inputs().contains("€\u{81}‚"));
    let mut characters: Vec<char> = all.iter().map(|byte| windows_1252(*byte)).collect();
    characters.sort_unstable();
    characters.dedup();
    assert_eq!(characters.len(), 255);
}

/// Bytes that a browser sends for such fields (WHATWG HTML 4.10.21.8).
fn as_a_browser(fields: &[(String, String)]) -> Vec<u8> {
    let escaped = |name: &str| name.replace("\r\n", "%0D%0A").replace('"', "%22");
    let parts = fields.iter().map(|(name, value)| {
        let name = escaped(name);
        format!("------b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    });
    format!("{}------b--\r\n", parts.collect::<String>()).into_bytes()
}

proptest! {
    #[test]
    fn what_a_browser_writes_is_read_and_written_back(
        fields in prop::collection::vec(("[^\0\r\n]{1,8}", "([^\0\r\n-]|\r\n){0,12}"), 0..6),
    ) {
        let urlencoded = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(&fields).finish();
        let texts: Vec<Field> = fields.iter().map(|(name, value)| text(name, value)).collect();
        prop_assert_eq!(read(urlencoded.as_bytes()), Ok(texts));

        let body = as_a_browser(&fields);
        let form = FormFields::parse(BOUNDARY, &body).unwrap();
        let texts = |field: &Field| field.texts().map(|text| String::from_utf8(text.to_vec()).unwrap()).collect::<Vec<_>>();
        let pairs: Vec<_> = form.fields.iter().map(|field| (texts(field)[0].clone(), texts(field)[1].clone())).collect();
        prop_assert_eq!(as_a_browser(&pairs), body);
    }

    #[test]
    fn no_body_panics(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = FormFields::parse(URLENCODED, &body);
        let _ = FormFields::parse(BOUNDARY, &[b"------b\r\n", body.as_slice()].concat());
    }
}
