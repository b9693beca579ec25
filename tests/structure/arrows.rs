//! Which part of the source may know which: arrows point down only.
//!
//! Every `use`, and every path that begins with `crate` or `super`, is read from the source. Unit tests are left out,
//! for they may set up whatever they like.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test may")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use syn::visit::{self, Visit};

/// The rooms of `src`, each with those it may know. A room that is not listed is a room that nobody thought about.
const ROOMS: &[(&str, &[&str])] = &[
    ("util", &[]),
    ("wire", &["util"]),
    ("model", &["util", "wire"]),
    ("net", &["util", "wire", "model"]),
    ("store", &["util", "wire", "model"]),
    ("handlers", &["util", "wire", "model"]),
    ("logger", &["util", "wire", "model"]),
    ("config", &["util", "wire", "model", "net", "store", "handlers", "logger"]),
    ("session", &["util", "wire", "model", "net", "store", "handlers", "logger", "config"]),
    ("rest", &["util", "wire", "model", "net", "store", "handlers", "logger", "config"]),
    ("delivery", &["util", "wire", "model", "net", "store", "handlers", "logger", "config", "session", "rest"]),
    (
        "connection",
        &["util", "wire", "model", "net", "store", "handlers", "logger", "config", "session", "rest", "delivery"],
    ),
    (
        "fleet",
        &[
            "util",
            "wire",
            "model",
            "net",
            "store",
            "handlers",
            "logger",
            "config",
            "session",
            "rest",
            "delivery",
            "connection",
        ],
    ),
    // Beside the client: what speaks for the service shares what goes over the wire, and no decision.
    ("local_server", &["util", "wire", "model", "net", "config"]),
];

/// A use of one room by another.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Arrow {
    file: PathBuf,
    from: String,
    to: String,
    path: String,
}

/// Collects the arrows of one file.
struct Reader<'a> {
    file: &'a Path,
    /// The module that is being read, from the root of the crate.
    module: Vec<String>,
    found: BTreeSet<Arrow>,
}

impl Reader<'_> {
    /// Notes a path as it is written, if it leads out of its room.
    fn note(&mut self, path: &[String]) {
        let mut at = match path.first().map(String::as_str) {
            Some("crate") => Vec::new(),
            Some("super" | "self") => self.module.clone(),
            _ => return,
        };
        for part in path {
            match part.as_str() {
                "crate" | "self" => {}
                "super" => drop(at.pop()),
                other => at.push(other.to_owned()),
            }
        }
        let Some(to) = at.first() else { return };
        if *to != self.module[0] {
            let (from, to) = (self.module[0].clone(), to.clone());
            self.found.insert(Arrow { file: self.file.to_owned(), from, to, path: path.join("::") });
        }
    }

    fn note_tree(&mut self, before: &[String], tree: &syn::UseTree) {
        let with = |ident: &syn::Ident| [before, &[ident.to_string()]].concat();
        match tree {
            syn::UseTree::Path(path) => self.note_tree(&with(&path.ident), &path.tree),
            syn::UseTree::Group(group) => group.items.iter().for_each(|tree| self.note_tree(before, tree)),
            syn::UseTree::Name(name) => self.note(&with(&name.ident)),
            syn::UseTree::Rename(rename) => self.note(&with(&rename.ident)),
            syn::UseTree::Glob(_) => self.note(before),
        }
    }

    /// Macros are not parsed: their paths are found among their tokens.
    fn note_tokens(&mut self, tokens: proc_macro2::TokenStream) {
        let mut path: Vec<String> = Vec::new();
        let mut colons = 0;
        for token in tokens {
            match token {
                proc_macro2::TokenTree::Ident(ident) if path.is_empty() || colons == 2 => {
                    path.push(ident.to_string());
                    colons = 0;
                    continue;
                }
                proc_macro2::TokenTree::Punct(punct) if punct.as_char() == ':' && !path.is_empty() && colons < 2 => {
                    colons += 1;
                    continue;
                }
                proc_macro2::TokenTree::Group(group) => self.note_tokens(group.stream()),
                proc_macro2::TokenTree::Ident(ident) => {
                    self.note(&path);
                    path = vec![ident.to_string()];
                    colons = 0;
                    continue;
                }
                _ => {}
            }
            self.note(&path);
            path.clear();
            colons = 0;
        }
        self.note(&path);
    }
}

fn is_for_tests(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else { return false };
        list.path.is_ident("cfg") && list.tokens.to_string() == "test"
    })
}

impl<'ast> Visit<'ast> for Reader<'_> {
    fn visit_item_mod(&mut self, module: &'ast syn::ItemMod) {
        if !is_for_tests(&module.attrs) {
            self.module.push(module.ident.to_string());
            visit::visit_item_mod(self, module);
            self.module.pop();
        }
    }

    fn visit_item_use(&mut self, import: &'ast syn::ItemUse) {
        if !is_for_tests(&import.attrs) {
            self.note_tree(&[], &import.tree);
        }
    }

    fn visit_item_impl(&mut self, block: &'ast syn::ItemImpl) {
        if !is_for_tests(&block.attrs) {
            visit::visit_item_impl(self, block);
        }
    }

    fn visit_item_fn(&mut self, function: &'ast syn::ItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_item_fn(self, function);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts: Vec<String> = path.segments.iter().map(|segment| segment.ident.to_string()).collect();
        self.note(&parts);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.note_tokens(call.tokens.clone());
    }

    fn visit_vis_restricted(&mut self, _: &'ast syn::VisRestricted) {}
}

/// The files of `src`, each with its module; the face of the crate and what belongs to tests are left out.
fn sources() -> Vec<(PathBuf, Vec<String>)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut folders = vec![root.clone()];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
            if path == root.join("bin") {
                // Programs are crates of their own, on the public face of this one.
            } else if path.is_dir() {
                folders.push(path);
            } else if name != "tests" && path.extension().is_some_and(|extension| extension == "rs") {
                let mut module: Vec<String> = path
                    .parent()
                    .unwrap()
                    .strip_prefix(&root)
                    .unwrap()
                    .iter()
                    .map(|part| part.to_str().unwrap().to_owned())
                    .collect();
                if name != "mod" {
                    module.push(name);
                }
                if module != ["lib"] {
                    found.push((path, module));
                }
            }
        }
    }
    found
}

fn arrows(file: &Path, module: Vec<String>, source: &str) -> BTreeSet<Arrow> {
    let parsed = syn::parse_file(source).unwrap_or_else(|error| panic!("{}: {error}", file.display()));
    let mut reader = Reader { file, module, found: BTreeSet::new() };
    reader.visit_file(&parsed);
    reader.found
}

/// What breaks the rules, in words.
fn breaches(found: &BTreeSet<Arrow>) -> Vec<String> {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    let mut told = Vec::new();
    for Arrow { file, from, to, path } in found {
        let file = file.display();
        match (rooms.get(from.as_str()), rooms.contains_key(to.as_str())) {
            (None, _) => told.push(format!("{file}: `{from}` is no room")),
            (_, false) => told.push(format!("{file}: `{path}` comes by the face of the crate; name its owner")),
            (Some(may), true) if !may.contains(&to.as_str()) => {
                told.push(format!("{file}: `{from}` may not know `{to}` (`{path}`)"));
            }
            _ => {}
        }
    }
    told
}

#[test]
fn arrows_between_rooms_point_down_and_names_come_from_their_owners() {
    let found: BTreeSet<Arrow> = sources()
        .into_iter()
        .flat_map(|(file, module)| {
            let source = fs::read_to_string(&file).unwrap();
            arrows(&file, module, &source)
        })
        .collect();
    assert!(found.len() > 500, "only {} arrows were found", found.len());
    let breaches = breaches(&found);
    assert!(breaches.is_empty(), "{} breaches:\n{}", breaches.len(), breaches.join("\n"));
}

#[test]
fn what_a_room_may_know_may_know_no_room_that_knows_it() {
    let rooms: BTreeMap<&str, &[&str]> = ROOMS.iter().copied().collect();
    for (room, may) in ROOMS {
        for below in *may {
            assert!(!rooms[below].contains(room), "{room} and {below} are a circle");
        }
    }
}

#[test]
fn an_arrow_is_seen_however_it_is_written() {
    for (source, breach) in [
        ("use crate::session::Engine;", "may not know"),
        ("use crate::{util, session::{self, Engine}};", "may not know"),
        ("use super::super::session::Engine as E;", "may not know"),
        ("use crate::session::*;", "may not know"),
        ("fn f() -> crate::session::Engine { loop {} }", "may not know"),
        ("fn f() { crate::session::run(); }", "may not know"),
        ("fn f() { println!(\"{}\", crate::session::COUNT); }", "may not know"),
        ("mod inner { fn f(_: super::super::super::session::Engine) {} }", "may not know"),
        ("use crate::Config;", "by the face"),
        ("#[cfg(test)] mod tests { use crate::session::Engine; }", ""),
        ("use super::names;", ""),
        ("use crate::model::error::LossCause;", ""),
    ] {
        let module = vec!["net".to_owned(), "dial".to_owned()];
        let told = breaches(&arrows(Path::new("dial.rs"), module, source));
        match breach {
            "" => assert!(told.is_empty(), "{source}: {told:?}"),
            breach => assert!(told.iter().any(|told| told.contains(breach)), "{source}: {told:?}"),
        }
    }
}
