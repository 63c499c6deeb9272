//! Spelling of keys: `baseUrl`, `base_url` and `BASE_URL` are one name.

/// `baseUrl` → `base_url`, `URLPath` → `url_path`; other separators become underscores.
pub(super) fn to_snake(key: &str) -> String {
    let chars: Vec<char> = key.chars().collect();
    let mut snake = String::with_capacity(key.len() + 4);
    for (i, &c) in chars.iter().enumerate() {
        if matches!(c, '-' | ' ' | '.' | '_') {
            snake.push('_');
            continue;
        }
        if c.is_uppercase() && i > 0 {
            let before = chars[i - 1];
            let starts_word = before.is_lowercase() || before.is_numeric();
            // The last capital of a run begins the next word: URLPath is url_path.
            let ends_run =
                before.is_uppercase() && chars.get(i + 1).is_some_and(|c| c.is_lowercase());
            if starts_word || ends_run {
                snake.push('_');
            }
        }
        snake.extend(c.to_lowercase());
    }
    snake
}

/// `base_url` → `baseUrl`.
pub fn to_camel(key: &str) -> String {
    let mut camel = String::with_capacity(key.len());
    let mut starts_word = false;
    for c in to_snake(key).chars() {
        if c == '_' {
            starts_word = !camel.is_empty();
        } else if starts_word {
            camel.extend(c.to_uppercase());
            starts_word = false;
        } else {
            camel.push(c);
        }
    }
    camel
}

/// Whether two keys are one name in different spelling.
pub(super) fn alike(a: &str, b: &str) -> bool {
    a == b || to_camel(a) == to_camel(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_change_spelling_and_come_back() {
        let cases = [
            ("baseUrl", "base_url", "baseUrl"),
            ("base_url", "base_url", "baseUrl"),
            ("BASE_URL", "base_url", "baseUrl"),
            ("baseURL", "base_url", "baseUrl"),
            ("URLPath", "url_path", "urlPath"),
            ("oauth2Token", "oauth2_token", "oauth2Token"),
            ("api-key", "api_key", "apiKey"),
            ("jql", "jql", "jql"),
            ("s3_bucket_1", "s3_bucket_1", "s3Bucket1"),
        ];
        for (given, snake, camel) in cases {
            assert_eq!(to_snake(given), snake, "{given}");
            assert_eq!(to_camel(given), camel, "{given}");
        }
    }

    #[test]
    fn only_spelling_may_differ() {
        assert!(alike("baseUrl", "base_url"));
        assert!(alike("s3Bucket1", "s3_bucket_1"));
        assert!(!alike("baseurl", "base_url"));
    }
}
