//! Citations lead somewhere: of the protocol's sections in the source, of paths and names in the documents. And docs
//! begin as they should.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

/// Names by which a section is cited, each with the page it is on; `None` for those outside the repository.
const BOOKS: &[(&str, Option<&str>)] = &[
    ("connection spec ", Some("docs/protocol/connection.md")),
    ("messages spec ", Some("docs/protocol/messages.md")),
    ("RFC ", None),
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Every file below `folder` whose name ends in one of `endings`.
fn files(folder: &str, endings: &[&str]) -> Vec<PathBuf> {
    let mut folders = vec![root().join(folder)];
    let mut found = Vec::new();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap();
            if path.is_dir() {
                if !["target", "node_modules", "corpus", "vectors"].contains(&name) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| name.ends_with(ending)) {
                found.push(path);
            }
        }
    }
    found
}

/// A source without line breaks and comment marks, so that a citation is in one piece.
fn one_line(source: &str) -> String {
    let bare = |line: &str| line.trim().trim_start_matches(['/', '!']).trim_start().to_owned();
    source.lines().map(bare).collect::<Vec<_>>().join(" ")
}

/// The sections of a page: its numbered headings, and the entries of a numbered list right below one.
fn sections(page: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut heading = String::new();
    for line in page.lines() {
        let (text, is_heading) = match line.trim_start_matches('#') {
            text if text.len() < line.len() => (text.trim_start(), true),
            text => (text, false),
        };
        let number = text.split(' ').next().unwrap().trim_end_matches('.');
        let is_number = !number.is_empty() && number.split('.').all(|part| part.parse::<u16>().is_ok());
        if is_heading {
            heading.clear();
            if is_number {
                number.clone_into(&mut heading);
                found.insert(heading.clone());
            }
        } else if is_number && text.contains(". ") && !heading.is_empty() {
            found.insert(format!("{heading}.{number}"));
        }
    }
    found
}

/// The numbers of a list of sections that begins with `§`: `§1`, `§1, §2.3`, `§2.6–2.9`, `§2.3 to §5.5`, `§1 and §2`; and
/// how long it is.
fn numbers(list: &str) -> (Vec<String>, usize) {
    let mut found = Vec::new();
    let mut rest = list;
    while let Some(text) =
        rest.strip_prefix('§').or_else(|| rest.strip_prefix(|c: char| c.is_ascii_digit()).map(|_| rest))
    {
        let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
        let number = text[..end].trim_end_matches('.');
        found.push(number.to_owned());
        rest = &text[number.len()..];
        let next = [", §", " and §", " to §", "; §", "–§"].iter().find(|between| rest.starts_with(**between));
        match (next, rest.strip_prefix('–')) {
            (Some(between), _) => rest = &rest[between.len() - '§'.len_utf8()..],
            (None, Some(until)) if until.starts_with(|c: char| c.is_ascii_digit()) => rest = until,
            _ => break,
        }
    }
    (found, list.len() - rest.len())
}

/// What is wrong with the citations of a text; `own` is the book that a bare `§` means there, if there is one.
fn wrong(text: &str, own: Option<&str>, sections_of: &dyn Fn(&str) -> BTreeSet<String>) -> (usize, Vec<String>) {
    let mut count = 0;
    let mut told = Vec::new();
    let mut from = 0;
    while let Some(at) = text[from..].find('§').map(|at| from + at) {
        let (cited, length) = numbers(&text[at..]);
        from = at + length;
        if cited == [""] {
            continue;
        }
        let before = text[..at].to_lowercase();
        let name = before.trim_end_matches(|c: char| c.is_ascii_digit() || c == ' ').to_owned() + " ";
        let book = BOOKS.iter().find(|(book, _)| name.ends_with(&book.to_lowercase()));
        let page = match (book, own) {
            (Some((_, page)), _) => *page,
            (None, Some(own)) => Some(own),
            (None, None) => {
                let start = before.char_indices().rev().nth(40).map_or(0, |(at, _)| at);
                told.push(format!("`{}§{}` names no book", &before[start..], cited.join(", §")));
                continue;
            }
        };
        count += cited.len();
        if let Some(page) = page {
            let known = sections_of(page);
            told.extend(
                cited.iter().filter(|cited| !known.contains(*cited)).map(|cited| format!("{page} has no §{cited}")),
            );
        }
    }
    (count, told)
}

#[test]
fn every_section_cited_is_on_its_page() {
    let sections_of = |page: &str| sections(&fs::read_to_string(root().join(page)).unwrap());
    let mut count = 0;
    let mut told = Vec::new();
    for folder in ["src", "tests", "examples", "benches", "fuzz", "docs"] {
        for file in files(folder, &[".rs", ".md", ".mjs"]) {
            let name = file.strip_prefix(root()).unwrap().to_str().unwrap();
            if name.ends_with("citations.rs") {
                continue;
            }
            let own = BOOKS.iter().find_map(|(_, page)| page.filter(|page| *page == name));
            let (found, wrong) = wrong(&one_line(&fs::read_to_string(&file).unwrap()), own, &sections_of);
            count += found;
            told.extend(wrong.into_iter().map(|wrong| format!("{name}: {wrong}")));
        }
    }
    assert!(count > 300, "only {count} citations were found");
    assert!(told.is_empty(), "{} wrong citations:\n{}", told.len(), told.join("\n"));
}

#[test]
fn a_wrong_citation_is_seen_however_it_is_written() {
    let sections_of = |_: &str| sections("## 1. A\n### 1.2 B [O]\n## 2. C\n1. one\n2. two\n## Appendix\n");
    for (text, is_wrong) in [
        ("connection spec §1", false),
        ("Messages spec §1.2, §2", false),
        ("/// (messages\n    /// spec §1.2).", false),
        ("connection spec §2.2", false),
        ("connection spec §1–2", false),
        ("RFC 6455 §99", false),
        ("messages spec §3", true),
        ("connection spec §1, §1.3", true),
        ("connection spec §1 and §7", true),
        ("connection spec §1–3", true),
        ("connection spec §2.3", true),
        ("(§1)", true),
        ("the spec §1", true),
    ] {
        let (_, told) = wrong(&one_line(text), None, &sections_of);
        assert_eq!(!told.is_empty(), is_wrong, "{text}: {told:?}");
    }
}

#[test]
fn every_path_that_a_document_quotes_leads_somewhere() {
    let mut told = Vec::new();
    let mut documents = files("docs", &[".md"]);
    documents.push(root().join("CONTRIBUTING.md"));
    for document in documents {
        let text = fs::read_to_string(&document).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let path = quoted.split([' ', '*', '{', '…']).next().unwrap();
            let is_path = ["src/", "tests/", "docs/", "benches/", "examples/", "fuzz/", ".ci/"]
                .iter()
                .any(|folder| path.starts_with(folder));
            if is_path && !root().join(path).exists() {
                told.push(format!("{}: {path}", document.strip_prefix(root()).unwrap().display()));
            }
        }
    }
    assert!(told.is_empty(), "{} paths lead nowhere:\n{}", told.len(), told.join("\n"));
}

#[test]
fn the_architecture_has_a_line_for_each_room() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    for entry in fs::read_dir(root().join("src")).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        if path.is_dir() {
            assert!(page.contains(&format!("\n  {name}/ ")), "no line for src/{name}");
        }
    }
}

/// The pages that name parts of the source.
const PAGES: [&str; 2] = ["docs/architecture.md", "CONTRIBUTING.md"];

#[test]
fn every_name_that_the_pages_quote_is_in_the_source() {
    let mut source = String::new();
    for folder in ["src", "tests", "fuzz", ".ci", "benches"] {
        for file in files(folder, &[".rs", "run", "long", ".sh"]) {
            if !file.ends_with("citations.rs") {
                source.push_str(&fs::read_to_string(&file).unwrap());
            }
        }
    }
    let mut told = Vec::new();
    for page in PAGES {
        let text = fs::read_to_string(root().join(page)).unwrap();
        for quoted in text.split('`').skip(1).step_by(2) {
            let parts = quoted.trim_end_matches("!").split("::");
            let is_name =
                |part: &str| part.starts_with(|c: char| c.is_ascii_uppercase()) && !part.contains([' ', '/', '.']);
            for part in parts.filter(|part| is_name(part)) {
                let name = part.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap();
                if !source.contains(name) {
                    told.push(format!("{page}: {quoted}"));
                }
            }
        }
    }
    assert!(told.is_empty(), "{} names are nowhere:\n{}", told.len(), told.join("\n"));
}

#[test]
fn every_place_on_the_walks_is_a_file() {
    let page = fs::read_to_string(root().join(PAGES[0])).unwrap();
    let rows = page.lines().filter(|line| line.starts_with("| "));
    let mut count = 0;
    for place in rows.flat_map(|row| row.split('|').nth(2).unwrap_or_default().split('`').skip(1).step_by(2)) {
        if place.contains('/') {
            count += 1;
            assert!(root().join("src").join(place).exists(), "no src/{place}");
        }
    }
    assert!(count > 20, "only {count} places were found");
}

/// Rooms whose docs begin with verbs and nouns throughout; those that are not listed have yet to be gone over.
const WORDED: [&str; 13] = [
    "util",
    "wire",
    "net",
    "store",
    "logger",
    "config",
    "local_server",
    "rest",
    "model",
    "delivery",
    "handlers",
    "connection",
    "session",
];

#[test]
fn no_doc_begins_with_a_relative_clause() {
    let clauses = ["What", "How", "Whether", "Who", "Whose", "Whoever", "Where", "Which", "Why", "That"];
    let mut told = Vec::new();
    for file in WORDED.iter().flat_map(|room| files(&format!("src/{room}"), &[".rs"])) {
        let source = fs::read_to_string(&file).unwrap();
        let mut within = false;
        for (number, line) in source.lines().enumerate() {
            let doc = line.trim_start().strip_prefix("///").or_else(|| line.trim_start().strip_prefix("//!"));
            if let Some(text) = doc
                && !within
                && clauses.contains(&text.trim_start().split([' ', ',']).next().unwrap())
            {
                told.push(format!("{}:{}:{text}", file.strip_prefix(root()).unwrap().display(), number + 1));
            }
            within = doc.is_some();
        }
    }
    assert!(told.is_empty(), "{} docs begin with a clause:\n{}", told.len(), told.join("\n"));
}
