//! The README is short, and every link of the documentation leads somewhere, in the repository and in rustdoc.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use pulldown_cmark::{BrokenLink, CodeBlockKind, Event, LinkType, Options, Parser, Tag, TagEnd};

/// The languages of code blocks; one without a language is Rust to rustdoc.
const LANGUAGES: &[&str] = &["console", "ini", "json", "rust", "rust,no_run", "text", "toml"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Returns the Markdown files right in a folder of the repository.
fn pages_in(folder: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join(folder)).unwrap();
    let mut found: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.extension().is_some_and(|extension| extension == "md"));
    found.sort();
    found
}

/// Returns the pages of `docs`, each with its path from there.
fn guide_pages() -> Vec<(PathBuf, String)> {
    let docs = root().join("docs");
    let name = |path: &PathBuf| path.strip_prefix(&docs).unwrap().to_str().unwrap().to_owned();
    [pages_in("docs"), pages_in("docs/protocol")].concat().into_iter().map(|path| (path.clone(), name(&path))).collect()
}

struct Link {
    /// The name of its definition, if it has one.
    label: Option<String>,
    target: String,
}

#[derive(Default)]
struct Page {
    links: Vec<Link>,
    /// Links to names that are defined nowhere.
    undefined: Vec<String>,
    /// The headings, as GitHub and rustdoc name them in addresses.
    anchors: BTreeSet<String>,
    languages: BTreeSet<String>,
}

fn read(markdown: &str) -> Page {
    let mut undefined = Vec::new();
    let note = |link: BrokenLink<'_>| {
        undefined.push(link.reference.into_string());
        None
    };
    let mut page = Page::default();
    let mut heading: Option<String> = None;
    for event in Parser::new_with_broken_link_callback(markdown, Options::ENABLE_TABLES, Some(note)) {
        match event {
            Event::Start(Tag::Link { link_type, dest_url, id, .. }) => {
                let label = (link_type != LinkType::Inline).then(|| id.to_lowercase());
                page.links.push(Link { label, target: dest_url.into_string() });
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Fenced(language))) => {
                page.languages.insert(language.into_string());
            }
            Event::Start(Tag::CodeBlock(CodeBlockKind::Indented)) => {
                page.languages.insert("(indented)".to_owned());
            }
            Event::Start(Tag::Heading { .. }) => heading = Some(String::new()),
            Event::Text(text) | Event::Code(text) => {
                if let Some(heading) = &mut heading {
                    heading.push_str(&text);
                }
            }
            Event::End(TagEnd::Heading(_)) => {
                page.anchors.extend(heading.take().map(|heading| anchor(&heading)));
            }
            _ => {}
        }
    }
    page.undefined = undefined;
    page
}

fn anchor(heading: &str) -> String {
    let kept = heading.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).flat_map(char::to_lowercase).collect()
}

/// Returns where a relative link leads: a file, and a heading in it.
fn followed<'a>(page: &Path, target: &'a str) -> Option<(PathBuf, Option<&'a str>)> {
    if target.contains("://") || target.starts_with("mailto:") {
        return None;
    }
    let (file, heading) = target.split_once('#').map_or((target, None), |(file, heading)| (file, Some(heading)));
    let file = if file.is_empty() { page.to_owned() } else { page.parent().unwrap().join(file) };
    Some((file.canonicalize().unwrap_or(file), heading))
}

/// Returns the names that `src/guide.rs` defines before every page, each with where it leads in rustdoc.
fn definitions(guide: &str) -> BTreeMap<String, String> {
    let lines = guide.lines().filter_map(|line| line.strip_prefix('[')?.split_once("]: "));
    lines.map(|(label, target)| (label.to_owned(), target.to_owned())).collect()
}

/// Returns the module that a page of `docs` is in rustdoc.
fn module_of(name: &str) -> String {
    format!("crate::guide::{}", name.trim_end_matches(".md").replace('-', "_").replace('/', "::"))
}

#[test]
fn the_readme_is_at_most_160_lines_and_8_000_bytes() {
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (lines, bytes) = (readme.lines().count(), readme.len());
    assert!(lines <= 160 && bytes <= 8_000, "{lines} lines, {bytes} bytes");
}

#[test]
fn every_relative_link_leads_to_a_file_and_a_heading() {
    let mut wrong = Vec::new();
    let mut seen = 0;
    for path in [pages_in("."), pages_in("docs"), pages_in("docs/protocol")].concat() {
        let page = read(&fs::read_to_string(&path).unwrap());
        for Link { target, .. } in &page.links {
            let Some((file, heading)) = followed(&path, target) else { continue };
            seen += 1;
            let found = match heading {
                None => file.exists(),
                Some(heading) => fs::read_to_string(&file).is_ok_and(|text| read(&text).anchors.contains(heading)),
            };
            if !found {
                wrong.push(format!("{}: {target}", path.display()));
            }
        }
    }
    assert!(seen > 80, "only {seen} links were found");
    assert!(wrong.is_empty(), "links that lead nowhere:\n{}", wrong.join("\n"));
}

#[test]
fn every_page_is_in_the_guide_and_its_links_lead_to_the_same_places_there() {
    let guide = fs::read_to_string(root().join("src/guide.rs")).unwrap();
    let definitions = definitions(&guide);
    let docs = root().join("docs").canonicalize().unwrap();
    let mut wrong = Vec::new();
    for (path, name) in guide_pages() {
        if !guide.contains(&format!("\"{name}\"")) && !guide.contains(&format!("\"../docs/{name}\"")) {
            wrong.push(format!("{name}: not in src/guide.rs"));
        }
        for Link { label, target } in read(&fs::read_to_string(&path).unwrap()).links {
            let Some((file, heading)) = followed(&path, &target) else { continue };
            let Some(label) = label else {
                if !target.starts_with('#') {
                    wrong.push(format!("{name}: ({target}) leads nowhere in rustdoc; write it as [text][name]"));
                }
                continue;
            };
            let Some(in_rustdoc) = definitions.get(&label) else {
                wrong.push(format!("{name}: src/guide.rs does not define [{label}]"));
                continue;
            };
            // Other files of the repository have no page in rustdoc, only a place that stands in for them.
            let Ok(page) = file.strip_prefix(&docs) else { continue };
            let heading = heading.map(|heading| format!("#{heading}")).unwrap_or_default();
            let same = module_of(page.to_str().unwrap()) + &heading;
            if *in_rustdoc != same {
                wrong.push(format!("{name}: [{label}] is {same}, but {in_rustdoc} in src/guide.rs"));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn code_blocks_name_their_language_and_names_in_brackets_are_defined() {
    let readme = (root().join("README.md"), "README.md".to_owned());
    let mut wrong = Vec::new();
    for (path, name) in guide_pages().into_iter().chain([readme]) {
        let page = read(&fs::read_to_string(&path).unwrap());
        let unknown = page.languages.iter().filter(|language| !LANGUAGES.contains(&language.as_str()));
        wrong.extend(unknown.map(|language| format!("{name}: a code block in {language:?}")));
        // There brackets also hold marks that say where a statement comes from, and fields of JSON.
        if !name.starts_with("protocol/") {
            wrong.extend(page.undefined.iter().map(|label| format!("{name}: [{label}] is not defined")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_dead_link_is_seen() {
    let page = read("# Two words, `code`\n\n[a](x.md) [b][c] [d]\n\n```\nx\n```\n\n[c]: y.md#z\n");
    let targets: Vec<_> = page.links.iter().map(|link| (link.label.as_deref(), link.target.as_str())).collect();
    assert_eq!(targets, [(None, "x.md"), (Some("c"), "y.md#z")]);
    assert_eq!(page.undefined, ["d"]);
    assert!(page.anchors.contains("two-words-code") && page.languages.contains(""));
    let (file, heading) = followed(&root().join("docs/limits.md"), "nowhere.md#here").unwrap();
    assert!(!file.exists() && heading == Some("here"));
    assert_eq!(module_of("protocol/a-b.md"), "crate::guide::protocol::a_b");
}
