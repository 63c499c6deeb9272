//! What a template reads from its context.

use super::ast::{Body, Const, Expr, Kind, Node, Targets};

/// One use of a variable: its name and the constant path under it. The path is empty if the
/// variable is used as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Read {
    pub name: Box<str>,
    pub path: Vec<String>,
}

/// All uses of variables that the template does not set itself.
pub(super) fn reads(body: &Body) -> Vec<Read> {
    let mut reader = Reader {
        reads: Vec::new(),
        scopes: vec![Vec::new()],
    };
    reader.body(body);
    reader.reads
}

struct Reader<'t> {
    reads: Vec<Read>,
    /// Names that the template has set, by scope.
    scopes: Vec<Vec<&'t str>>,
}

impl<'t> Reader<'t> {
    fn body(&mut self, body: &'t Body) {
        for node in body {
            self.node(node);
        }
    }

    fn scoped(&mut self, inside: impl FnOnce(&mut Self)) {
        self.scopes.push(Vec::new());
        inside(self);
        self.scopes.pop();
    }

    fn set(&mut self, targets: &'t Targets) {
        match targets {
            Targets::One(name) => self.set_name(name),
            Targets::Many(targets) => targets.iter().for_each(|target| self.set(target)),
        }
    }

    fn set_name(&mut self, name: &'t str) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.push(name);
        }
    }

    fn node(&mut self, node: &'t Node) {
        match node {
            Node::Text(_) => {}
            Node::Print(value) => self.expr(value),
            Node::If {
                branches,
                otherwise,
            } => {
                for (condition, body) in branches {
                    self.expr(condition);
                    self.body(body);
                }
                self.body(otherwise);
            }
            Node::For(node) => {
                self.expr(&node.iterable);
                self.scoped(|reader| {
                    reader.set(&node.targets);
                    reader.set_name("loop");
                    node.filter.iter().for_each(|filter| reader.expr(filter));
                    reader.body(&node.body);
                });
                self.scoped(|reader| reader.body(&node.otherwise));
            }
            Node::Set { targets, value } => {
                self.expr(value);
                self.set(targets);
            }
            Node::SetBlock {
                name,
                filters,
                body,
            } => {
                for call in filters {
                    call.args.each(&mut |arg| self.expr(arg));
                }
                self.scoped(|reader| reader.body(body));
                self.set_name(name);
            }
            Node::With { bindings, body } => {
                for (_, value) in bindings {
                    self.expr(value);
                }
                self.scoped(|reader| {
                    for (targets, _) in bindings {
                        reader.set(targets);
                    }
                    reader.body(body);
                });
            }
            Node::FilterBlock { filters, body } => {
                for call in filters {
                    call.args.each(&mut |arg| self.expr(arg));
                }
                self.scoped(|reader| reader.body(body));
            }
        }
    }

    fn expr(&mut self, expr: &'t Expr) {
        let mut path = Vec::new();
        if let Some((name, is_function)) = self.path(expr, &mut path) {
            let is_set = self.scopes.iter().any(|scope| scope.contains(&name));
            if !is_set && !is_function {
                path.reverse();
                self.read(Read {
                    name: name.into(),
                    path,
                });
            }
            return;
        }
        match &expr.kind {
            // A method reads the value that it belongs to.
            Kind::Call(callee, args) => {
                match &callee.kind {
                    Kind::Attr(owner, _) => self.expr(owner),
                    _ => self.expr(callee),
                }
                args.each(&mut |arg| self.expr(arg));
            }
            kind => kind.children(&mut |child| self.expr(child)),
        }
    }

    fn read(&mut self, read: Read) {
        if !self.reads.contains(&read) {
            self.reads.push(read);
        }
    }

    /// The variable at the root of a chain of constant keys, and whether a function has its name;
    /// `path` gets the keys, last one first.
    fn path(&mut self, expr: &'t Expr, path: &mut Vec<String>) -> Option<(&'t str, bool)> {
        match &expr.kind {
            Kind::Name(name, function) => Some((name, function.is_some())),
            Kind::Attr(owner, key) => {
                path.push(key.to_string());
                self.path(owner, path)
            }
            Kind::Item(owner, key) => {
                path.push(constant_key(key)?);
                self.path(owner, path)
            }
            Kind::Call(callee, args) => {
                let Kind::Attr(owner, method) = &callee.kind else {
                    return None;
                };
                let [key, default @ ..] = &*args.positional else {
                    return None;
                };
                if &**method != "get" || !args.named.is_empty() || default.len() > 1 {
                    return None;
                }
                path.push(constant_key(key)?);
                let root = self.path(owner, path)?;
                for default in default {
                    self.expr(default);
                }
                Some(root)
            }
            _ => None,
        }
    }
}

fn constant_key(key: &Expr) -> Option<String> {
    match &key.kind {
        Kind::Const(Const::Str(key)) => Some(key.to_string()),
        _ => None,
    }
}
