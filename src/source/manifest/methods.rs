//! `metadata.connector.auth`: which ways to authenticate there are, and which one a configuration
//! chooses by what it gives.

use super::fields::type_of;
use crate::document::{Entry, Kind, Node};
use crate::json::{Map, Value};

/// `metadata.connector.auth`
#[derive(Debug, Clone, Default)]
pub struct AuthMethods {
    /// The field of the configuration that `SelectiveAuthenticator` reads.
    pub(super) select: String,
    pub(super) methods: Vec<Method>,
}

/// One way to authenticate.
#[derive(Debug, Clone)]
pub(super) struct Method {
    pub(super) name: String,
    /// What it needs.
    pub(super) fields: Vec<String>,
    /// What belongs to it and may be left out.
    pub(super) optional: Vec<String>,
    /// An authenticator that the low-code format lacks.
    pub(super) authenticator: Option<Node>,
}

/// Why a configuration chooses no way to authenticate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoMethod {
    /// The field that is wrong, if it is one.
    pub field: Option<String>,
    /// What is wrong; fields as the specification spells them.
    pub message: String,
    /// What to do about it.
    pub fix: String,
}

impl Method {
    fn owns(&self, field: &str) -> bool {
        self.fields
            .iter()
            .chain(&self.optional)
            .any(|own| own == field)
    }

    fn missing<'m>(&'m self, config: &Value) -> Vec<&'m str> {
        let fields = self.fields.iter().map(String::as_str);
        fields.filter(|field| !is_given(config, field)).collect()
    }
}

impl AuthMethods {
    /// Each way by its name, with the fields that it needs and those that it may do without.
    pub fn ways(&self) -> impl Iterator<Item = (&str, &[String], &[String])> {
        let ways = self.methods.iter();
        ways.map(|way| (&*way.name, &*way.fields, &*way.optional))
    }

    /// Every field that belongs to a method.
    pub fn fields(&self) -> impl Iterator<Item = &str> {
        let methods = self.methods.iter();
        methods
            .flat_map(|method| method.fields.iter().chain(&method.optional))
            .map(String::as_str)
    }

    /// The name of the method that `config` chooses; `None` where the manifest names no methods.
    /// `spell` writes a field as the user does.
    pub fn choose(
        &self,
        config: &Value,
        spell: &dyn Fn(&str) -> String,
    ) -> Result<Option<&str>, NoMethod> {
        if self.methods.is_empty() {
            return Ok(None);
        }
        let list = |fields: &[&str]| -> String {
            let spelled: Vec<String> = fields.iter().map(|field| spell(field)).collect();
            spelled.join(" and ")
        };
        let chosen = match config.get(&self.select).and_then(Value::as_str) {
            Some(name) if !name.is_empty() => self.named(name, spell)?,
            _ => self.best(config),
        };
        let Some(chosen) = chosen else {
            let ways: Vec<String> = self
                .methods
                .iter()
                .map(|method| {
                    let fields: Vec<&str> = method.fields.iter().map(String::as_str).collect();
                    list(&fields)
                })
                .collect();
            return Err(NoMethod {
                field: None,
                message: "holds no credentials".to_owned(),
                fix: format!("give {}", ways.join(", or ")),
            });
        };
        // What is given and belongs to another way only contradicts it.
        let other = self.methods.iter().find_map(|method| {
            let mut fields = method.fields.iter().chain(&method.optional);
            let field = fields.find(|field| is_given(config, field) && !chosen.owns(field))?;
            Some((method, field))
        });
        if let Some((method, field)) = other {
            let own = chosen.fields.iter().find(|own| is_given(config, own));
            let own = own.map_or_else(|| chosen.name.clone(), |own| spell(own));
            return Err(NoMethod {
                field: Some(field.clone()),
                message: format!(
                    "{own} and {} are two ways to authenticate ({} and {})",
                    spell(field),
                    chosen.name,
                    method.name
                ),
                fix: "keep one of them".to_owned(),
            });
        }
        if chosen.missing(config).is_empty() {
            return Ok(Some(&chosen.name));
        }
        // Another way may begin with the same fields.
        let given: Vec<&str> = self
            .fields()
            .filter(|field| is_given(config, field))
            .collect();
        let begun = |method: &&Method| given.iter().all(|field| method.owns(field));
        let (mut says, mut adds) = (Vec::new(), Vec::new());
        for method in self.methods.iter().filter(begun) {
            let missing = method.missing(config);
            let is = if missing.len() == 1 { "is" } else { "are" };
            let missing = list(&missing);
            says.push(format!(
                "to authenticate by {} {missing} {is} missing",
                method.name
            ));
            adds.push(missing);
        }
        Err(NoMethod {
            field: None,
            message: says.join(", "),
            fix: format!("add {}", adds.join(", or ")),
        })
    }

    fn named(
        &self,
        name: &str,
        spell: &dyn Fn(&str) -> String,
    ) -> Result<Option<&Method>, NoMethod> {
        let found = self.methods.iter().find(|method| method.name == name);
        if found.is_some() {
            return Ok(found);
        }
        let names: Vec<&str> = self
            .methods
            .iter()
            .map(|method| method.name.as_str())
            .collect();
        Err(NoMethod {
            field: Some(self.select.clone()),
            message: format!("{} names no way to authenticate", spell(&self.select)),
            fix: format!("use one of: {}", names.join(", ")),
        })
    }

    /// The method that most of what is given belongs to: complete ones first, then those with more
    /// fields, so that one whose fields are part of another's gives way. One without fields is for
    /// configurations that give nothing.
    fn best(&self, config: &Value) -> Option<&Method> {
        let given = |method: &Method| {
            let fields = method.fields.iter().chain(&method.optional);
            fields.filter(|field| is_given(config, field)).count()
        };
        let touched = self.methods.iter().filter(|method| given(method) > 0);
        let best = touched.rev().max_by_key(|method| {
            let is_complete = method.missing(config).is_empty() && !method.fields.is_empty();
            (is_complete, given(method))
        });
        best.or_else(|| self.methods.iter().find(|method| method.fields.is_empty()))
    }

    /// The configuration with the chosen method's name where `SelectiveAuthenticator` reads it.
    pub fn filled_in(&self, config: Value) -> Value {
        let Ok(Some(name)) = self.choose(&config, &str::to_owned) else {
            return config;
        };
        let name = name.to_owned();
        match config {
            Value::Object(mut map) => {
                map.insert(self.select.clone(), name.into());
                map.into()
            }
            other => other,
        }
    }

    /// The configuration without what only says how to authenticate: who asks does not change
    /// what is read.
    pub(super) fn without_fields(&self, config: &Value) -> Value {
        let is_ours = |name: &String| *name == self.select || self.fields().any(|own| own == name);
        match config {
            Value::Object(map) if !self.methods.is_empty() => map
                .iter()
                .filter(|(name, _)| !is_ours(name))
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect::<Map>()
                .into(),
            other => other.clone(),
        }
    }

    /// Lets every request be authenticated by these methods. A `SelectiveAuthenticator` that reads
    /// the same field is given the authenticators that it lacks; any other authenticator serves
    /// the methods that have none of their own, so that a manifest whose plain way Airbyte's
    /// engine knows runs there as it is.
    pub(super) fn extend(&self, node: &mut Node) {
        let entries = match &mut node.kind {
            Kind::List(items) => return items.iter_mut().for_each(|item| self.extend(item)),
            Kind::Map(entries) => entries,
            _ => return,
        };
        for entry in entries.iter_mut().filter(|entry| entry.key != "metadata") {
            if entry.key != "authenticator" {
                self.extend(&mut entry.value);
            } else if type_of(&entry.value) != Some("SelectiveAuthenticator") {
                self.wrap(&mut entry.value);
            } else if let Kind::Map(selective) = &mut entry.value.kind {
                self.extend_selective(selective);
            }
        }
    }

    fn extend_selective(&self, entries: &mut [Entry]) {
        let reads_select = entries.iter().any(|entry| {
            entry.key == "authenticator_selection_path"
                && matches!(entry.value.items(), [only] if only.as_str() == Some(&self.select))
        });
        let mut inner = entries
            .iter_mut()
            .filter(|entry| entry.key == "authenticators");
        if let (true, Some(inner)) = (reads_select, inner.next())
            && let Kind::Map(inner) = &mut inner.value.kind
        {
            self.add_to(inner);
        }
    }

    fn wrap(&self, plain: &mut Node) {
        if self
            .methods
            .iter()
            .all(|method| method.authenticator.is_none())
        {
            return;
        }
        let at = plain.at;
        let entry = |key: &str, kind| Entry {
            key: key.to_owned(),
            key_at: at,
            value: Node { kind, at },
        };
        let select = Node {
            kind: Kind::String(self.select.clone()),
            at,
        };
        let mut ways = Vec::new();
        self.add_to(&mut ways);
        let served = self
            .methods
            .iter()
            .filter(|method| method.authenticator.is_none());
        ways.extend(served.map(|method| entry(&method.name, plain.kind.clone())));
        plain.kind = Kind::Map(vec![
            entry("type", Kind::String("SelectiveAuthenticator".to_owned())),
            entry("authenticator_selection_path", Kind::List(vec![select])),
            entry("authenticators", Kind::Map(ways)),
        ]);
    }

    fn add_to(&self, authenticators: &mut Vec<Entry>) {
        for method in &self.methods {
            if let Some(authenticator) = &method.authenticator
                && !authenticators.iter().any(|entry| entry.key == method.name)
            {
                authenticators.push(Entry {
                    key: method.name.clone(),
                    key_at: authenticator.at,
                    value: authenticator.clone(),
                });
            }
        }
    }
}

/// Whether the configuration holds something at a path such as `credentials.token`.
fn is_given(config: &Value, path: &str) -> bool {
    let found = path.split('.').try_fold(config, |at, part| at.get(part));
    match found {
        None | Some(Value::Null) => false,
        Some(Value::String(text)) => !text.is_empty(),
        Some(Value::Object(map)) => *map != Map::new(),
        Some(_) => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::parse;

    fn methods() -> AuthMethods {
        let method = |name: &str, fields: &[&str], optional: &[&str]| Method {
            name: name.to_owned(),
            fields: fields.iter().map(|&field| field.to_owned()).collect(),
            optional: optional.iter().map(|&field| field.to_owned()).collect(),
            authenticator: None,
        };
        AuthMethods {
            select: "auth".to_owned(),
            methods: vec![
                method("token", &["token"], &[]),
                method("app", &["app_id", "private_key"], &["installation_id"]),
                method("client", &["client_id", "client_secret"], &[]),
                method(
                    "oauth",
                    &["client_id", "client_secret", "refresh_token"],
                    &[],
                ),
            ],
        }
    }

    fn choose(config: &str) -> Result<String, String> {
        let methods = methods();
        let config = parse(config.as_bytes()).unwrap();
        let chosen = methods.choose(&config, &str::to_owned);
        chosen
            .map(|name| name.unwrap().to_owned())
            .map_err(|error| format!("{}; {}", error.message, error.fix))
    }

    #[test]
    fn what_is_given_chooses_the_method() {
        for (config, name) in [
            (r#"{"token":"t","app_id":"","private_key":null}"#, "token"),
            (r#"{"app_id":1,"private_key":"k"}"#, "app"),
            (
                r#"{"app_id":1,"private_key":"k","installation_id":2}"#,
                "app",
            ),
            (r#"{"client_id":"c","client_secret":"s"}"#, "client"),
            (
                r#"{"client_id":"c","client_secret":"s","refresh_token":"r"}"#,
                "oauth",
            ),
            (r#"{"auth":"token","token":"t"}"#, "token"),
        ] {
            assert_eq!(choose(config), Ok(name.to_owned()), "{config}");
        }
    }

    #[test]
    fn contradictions_and_gaps_are_told_in_words() {
        for (config, words) in [
            (
                r#"{"token":"t","app_id":1,"private_key":"k"}"#,
                "app_id and token are two ways to authenticate (app and token); keep one of them",
            ),
            (
                r#"{"token":"t","installation_id":1}"#,
                "token and installation_id are two ways to authenticate (token and app); keep one of them",
            ),
            (
                r#"{"app_id":1}"#,
                "to authenticate by app private_key is missing; add private_key",
            ),
            (
                r#"{"refresh_token":"r"}"#,
                "to authenticate by oauth client_id and client_secret are missing; add client_id and client_secret",
            ),
            (
                "{}",
                "holds no credentials; give token, or app_id and private_key, or client_id and client_secret, or client_id and client_secret and refresh_token",
            ),
            (
                r#"{"auth":"apps"}"#,
                "auth names no way to authenticate; use one of: token, app, client, oauth",
            ),
        ] {
            assert_eq!(choose(config), Err(words.to_owned()), "{config}");
        }
    }

    #[test]
    fn a_plain_authenticator_serves_the_methods_that_have_none_of_their_own() {
        let mut methods = methods();
        let text = "requester: { authenticator: { type: BearerAuthenticator, api_token: t } }";
        let mut node = crate::document::parse_yaml("m.yaml", text).unwrap();
        methods.extend(&mut node);
        let kind_of = |node: &Node, path: &[&str]| {
            let found = path.iter().try_fold(node, |at, key| at.get(key));
            found.and_then(type_of).map(str::to_owned)
        };
        let plain = ["requester", "authenticator"];
        assert_eq!(kind_of(&node, &plain).unwrap(), "BearerAuthenticator");

        let app = crate::document::parse_yaml("m.yaml", "type: GithubAppAuthenticator").unwrap();
        methods.methods[1].authenticator = Some(app);
        methods.extend(&mut node);
        assert_eq!(kind_of(&node, &plain).unwrap(), "SelectiveAuthenticator");
        for (name, kind) in [
            ("token", "BearerAuthenticator"),
            ("app", "GithubAppAuthenticator"),
            ("oauth", "BearerAuthenticator"),
        ] {
            let path = ["requester", "authenticator", "authenticators", name];
            assert_eq!(kind_of(&node, &path).unwrap(), kind, "{name}");
        }
    }

    #[test]
    fn a_method_without_fields_is_for_who_gives_nothing() {
        let mut methods = methods();
        methods.methods.push(Method {
            name: "machine".to_owned(),
            fields: Vec::new(),
            optional: Vec::new(),
            authenticator: None,
        });
        let config = methods.filled_in(parse(b"{}").unwrap());
        assert_eq!(config.get("auth").and_then(Value::as_str), Some("machine"));
    }

    /// A configuration that gives these fields, whose paths may lead into maps.
    fn giving<'f>(fields: impl Iterator<Item = &'f String>) -> Value {
        fn put(map: &mut Map, path: &str) {
            match path.split_once('.') {
                None => drop(map.insert(path.to_owned(), "given".into())),
                Some((first, rest)) => {
                    let mut inner = match map.shift_remove(first) {
                        Some(Value::Object(inner)) => inner,
                        _ => Map::new(),
                    };
                    put(&mut inner, rest);
                    map.insert(first.to_owned(), inner.into());
                }
            }
        }
        let mut map = Map::new();
        fields.for_each(|path| put(&mut map, path));
        map.into()
    }

    #[test]
    fn every_combination_of_every_built_in_provider_is_decided() {
        let catalog = crate::source::manifest::catalog::Catalog::load(None).unwrap();
        let (mut alone, mut contradicting, mut lacking) = (0, 0, 0);
        for manifest in catalog.kinds() {
            let auth = &manifest.metadata.auth;
            let choose = |config: &Value| {
                let chosen = auth.choose(config, &str::to_owned);
                chosen.map(|name| name.unwrap_or_default().to_owned())
            };
            for one in &auth.methods {
                let kind = &manifest.kind;
                assert_eq!(
                    choose(&giving(one.fields.iter())),
                    Ok(one.name.clone()),
                    "{kind}"
                );
                alone += 1;
                for left_out in one.fields.iter().filter(|_| one.fields.len() > 1) {
                    let given = one.fields.iter().filter(|field| *field != left_out);
                    match choose(&giving(given)) {
                        Err(wrong) => {
                            assert!(wrong.message.contains(left_out), "{kind}: {wrong:?}");
                            lacking += 1;
                        }
                        // What is left is all that another way needs.
                        Ok(other) => assert_ne!(other, one.name, "{kind}"),
                    }
                }
                for other in &auth.methods {
                    let foreign = |one: &Method, other: &Method| {
                        other.fields.iter().any(|field| !one.owns(field))
                    };
                    if !foreign(one, other) || !foreign(other, one) {
                        continue;
                    }
                    let both = giving(one.fields.iter().chain(&other.fields));
                    let wrong = choose(&both).unwrap_err();
                    assert!(wrong.message.contains("two ways"), "{kind}: {wrong:?}");
                    for name in [&one.name, &other.name] {
                        assert!(wrong.message.contains(name), "{kind}: {wrong:?}");
                    }
                    contradicting += 1;
                }
            }
        }
        assert!(
            alone > 10 && contradicting > 10 && lacking > 3,
            "{alone} {contradicting} {lacking}"
        );
    }
}
