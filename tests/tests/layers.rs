//! The map is true: `lib.rs` lists its modules lowest first, a module names only those above it in
//! that list, and no files name each other in a circle.
//!
//! The sources are read as text. What only tests import does not count, nor does a re-export: a
//! table of contents needs none of what it lists. A name that is re-exported is looked up in the
//! file that it comes from.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// A module's path from the crate's root, such as `["watch", "scan"]`; empty for `lib.rs`.
type Module = Vec<String>;

#[test]
fn modules_name_only_those_below_them_and_no_files_form_a_circle() {
    let sources = read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src"));
    assert!(sources.len() > 100, "only {} sources found", sources.len());
    let problems = problems(&sources);
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn planted_imports_are_found() {
    let lib = ("", "pub mod ground;\npub mod stage;\npub mod door;");
    for (name, files, expected) in [
        (
            "downwards",
            vec![("door", "use crate::{ground::G, stage};"), ("stage", "")],
            vec![],
        ),
        (
            "upwards",
            vec![("ground", "use crate::stage::Stage;"), ("stage", "")],
            vec!["ground names stage, which is not below it"],
        ),
        (
            "upwards, in an expression and a group",
            vec![(
                "ground",
                "fn f() { crate::stage::go(); }\nuse crate::{door::{self, D}};",
            )],
            vec![
                "ground names door, which is not below it",
                "ground names stage, which is not below it",
            ],
        ),
        (
            "a child and its parent",
            vec![
                ("stage", "mod a;\nfn f() { a::g(); }\nstruct S;"),
                ("stage::a", "use super::S;"),
            ],
            vec!["a circle: stage, stage::a"],
        ),
        (
            "three brothers",
            vec![
                ("stage", "mod a;\nmod b;\nmod c;"),
                ("stage::a", "use super::b::B;"),
                ("stage::b", "use super::c::C;"),
                ("stage::c", "fn f(a: crate::stage::a::A) {}"),
            ],
            vec!["a circle: stage::a, stage::b, stage::c"],
        ),
        (
            "a re-export is looked through",
            vec![
                ("stage", "mod a;\nmod b;\npub use a::S;"),
                ("stage::a", "pub struct S;"),
                ("stage::b", "use super::S;"),
            ],
            vec![],
        ),
        (
            "a module within a file",
            vec![
                ("stage", "mod a;\nfn f() { a::g(); }"),
                (
                    "stage::a",
                    "mod b { use super::{S, c}; fn f() { c::g(); } }\nuse crate::ground;",
                ),
            ],
            vec![],
        ),
        (
            "lifetimes that a type holds are no import",
            vec![("ground", "fn f<'a>() -> impl I + use<'a> { g() }")],
            vec![],
        ),
        (
            "tests and comments do not count",
            vec![
                (
                    "ground",
                    "// crate::stage::x\n#[cfg(test)]\nmod tests { use crate::stage::S; }",
                ),
                ("stage", ""),
            ],
            vec![],
        ),
    ] {
        let sources: BTreeMap<Module, String> = [lib, ("ground", ""), ("stage", ""), ("door", "")]
            .into_iter()
            .chain(files)
            .map(|(module, text)| (split(module), text.to_owned()))
            .collect();
        assert_eq!(problems(&sources), expected, "{name}");
    }
}

fn split(module: &str) -> Module {
    module
        .split("::")
        .filter(|part| !part.is_empty())
        .map(str::to_owned)
        .collect()
}

fn read_sources(root: &Path) -> BTreeMap<Module, String> {
    let mut sources = BTreeMap::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).unwrap() {
            let path: PathBuf = entry.unwrap().path();
            if path.is_dir() {
                directories.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                let relative = path.strip_prefix(root).unwrap().with_extension("");
                let module: Module = relative
                    .iter()
                    .map(|part| part.to_str().unwrap().to_owned())
                    .collect();
                match module[0].as_str() {
                    "main" => {}
                    "lib" => drop(sources.insert(Vec::new(), fs::read_to_string(&path).unwrap())),
                    _ => drop(sources.insert(module, fs::read_to_string(&path).unwrap())),
                }
            }
        }
    }
    sources
}

/// What is wrong, a sentence each.
fn problems(sources: &BTreeMap<Module, String>) -> Vec<String> {
    let files: BTreeMap<&Module, File> = sources
        .iter()
        .map(|(module, text)| (module, File::parse(module, text)))
        .collect();
    let order = &files[&Vec::new()].children;
    let rank = |module: &Module| order.iter().position(|name| *name == module[0]);
    let mut problems = BTreeSet::new();
    let mut edges: BTreeMap<&Module, BTreeSet<Module>> = BTreeMap::new();
    for (module, file) in files.iter().filter(|(module, _)| !module.is_empty()) {
        for path in &file.uses {
            let target = resolve(path, &files, 0);
            if target.is_empty() || target == **module {
                continue;
            }
            if target[0] != module[0] && rank(&target) >= rank(module) {
                let (from, to) = (module.join("::"), &target[0]);
                problems.insert(format!("{from} names {to}, which is not below it"));
            }
            edges.entry(module).or_default().insert(target);
        }
    }
    let reached: BTreeMap<&Module, BTreeSet<&Module>> = edges
        .keys()
        .map(|module| (*module, reach(module, &edges)))
        .collect();
    let circles: BTreeSet<Vec<String>> = reached
        .iter()
        .filter(|(module, reached)| reached.contains(**module))
        .map(|(module, from_here)| {
            let back = |other: &&&Module| {
                reached
                    .get(**other)
                    .is_some_and(|far| far.contains(*module))
            };
            from_here
                .iter()
                .filter(back)
                .map(|other| other.join("::"))
                .collect()
        })
        .collect();
    let circles = circles
        .iter()
        .map(|circle| format!("a circle: {}", circle.join(", ")));
    problems.into_iter().chain(circles).collect()
}

/// All files that a file leads to.
fn reach<'a>(
    module: &Module,
    edges: &'a BTreeMap<&Module, BTreeSet<Module>>,
) -> BTreeSet<&'a Module> {
    let mut reached = BTreeSet::new();
    let mut next: Vec<&Module> = edges.get(module).into_iter().flatten().collect();
    while let Some(module) = next.pop() {
        if reached.insert(module) {
            next.extend(edges.get(module).into_iter().flatten());
        }
    }
    reached
}

/// The file that a path leads to.
fn resolve(path: &[String], files: &BTreeMap<&Module, File>, depth: usize) -> Module {
    let mut module = Vec::new();
    let mut rest = path;
    while let Some((name, more)) = rest.split_first() {
        module.push(name.clone());
        if !files.contains_key(&module) {
            module.pop();
            break;
        }
        rest = more;
    }
    let named = rest.first().and_then(|name| files[&module].names.get(name));
    match named {
        Some(origin) if depth < 8 => {
            let mut origin = origin.clone();
            origin.extend_from_slice(&rest[1..]);
            resolve(&origin, files, depth + 1)
        }
        _ => module,
    }
}

#[derive(Default)]
struct File {
    /// Modules that it declares, in their order.
    children: Vec<String>,
    /// Absolute paths that it names.
    uses: BTreeSet<Vec<String>>,
    /// Names that it imports or re-exports, with where they come from.
    names: BTreeMap<String, Vec<String>>,
}

impl File {
    fn parse(module: &Module, text: &str) -> File {
        // Tests stand last, some of them for one system only.
        let code = text.split("\nmod tests {").next().unwrap();
        let tokens = tokens(code);
        let mut file = File::default();
        for window in tokens.windows(3) {
            if window[0] == "mod" && window[2] == ";" {
                file.children.push(window[1].clone());
            }
        }
        let (mut braces, mut inline) = (0, Vec::new());
        let mut at = 0;
        while at < tokens.len() {
            match tokens[at].as_str() {
                "{" => {
                    braces += 1;
                    if at >= 2 && tokens[at - 2] == "mod" {
                        inline.push(braces);
                    }
                }
                "}" => {
                    inline.pop_if(|opened| *opened == braces);
                    braces -= 1;
                }
                _ => {}
            }
            let begins = at == 0 || tokens[at - 1] != "::";
            // Behind `impl` it says which lifetimes a type holds.
            if tokens[at] == "use" && tokens.get(at + 1).is_some_and(|next| next != "<") {
                let is_public = is_public(&tokens[..at]);
                let mut imports = Vec::new();
                at = tree(&tokens, at + 1, &[], &mut imports);
                for (name, path) in imports {
                    if let Some(path) = file.absolute(module, inline.len(), &path) {
                        if !is_public {
                            file.uses.insert(path.clone());
                        }
                        file.names.insert(name, path);
                    }
                }
            } else if begins && tokens.get(at + 1).is_some_and(|next| next == "::") {
                let mut path = vec![tokens[at].clone()];
                while tokens.get(at + 1).is_some_and(|next| next == "::") && at + 2 < tokens.len() {
                    path.push(tokens[at + 2].clone());
                    at += 2;
                }
                file.uses.extend(file.absolute(module, inline.len(), &path));
                at += 1;
            } else {
                at += 1;
            }
        }
        file
    }

    /// None for a path into another crate, or to something of the file's own. `inline` is how many
    /// modules within the file stand around the path.
    fn absolute(&self, module: &Module, inline: usize, path: &[String]) -> Option<Vec<String>> {
        let supers = path.iter().take_while(|part| *part == "super").count();
        let (mut base, rest) = match path[0].as_str() {
            "crate" => (Vec::new(), &path[1..]),
            "self" if inline == 0 => (module.clone(), &path[1..]),
            "super" => {
                let up = supers.saturating_sub(inline);
                (module[..module.len() - up].to_vec(), &path[supers..])
            }
            child if self.children.iter().any(|name| name == child) => (module.clone(), path),
            _ => return None,
        };
        base.extend_from_slice(rest);
        Some(base)
    }
}

/// Whether a `use` is `pub use` or `pub(…) use`.
fn is_public(before: &[String]) -> bool {
    let last = |back: usize| before.len().checked_sub(back).map(|at| before[at].as_str());
    match last(1) {
        Some("pub") => true,
        Some(")") => last(4) == Some("pub") || last(5) == Some("pub"),
        _ => false,
    }
}

/// Reads a use tree. Returns the place behind it.
fn tree(
    tokens: &[String],
    mut at: usize,
    prefix: &[String],
    imports: &mut Vec<(String, Vec<String>)>,
) -> usize {
    let mut path = prefix.to_vec();
    loop {
        match tokens[at].as_str() {
            "{" => {
                at += 1;
                while tokens[at] != "}" {
                    at = tree(tokens, at, &path, imports);
                    if tokens[at] == "," {
                        at += 1;
                    }
                }
                return at + 1;
            }
            "::" => at += 1,
            "self" if !path.is_empty() => at += 1,
            "," | ";" | "}" => {
                let name = path.last().cloned().unwrap_or_default();
                imports.push((name, path));
                return at;
            }
            "as" => {
                imports.push((tokens[at + 1].clone(), path));
                return at + 2;
            }
            part => {
                path.push(part.to_owned());
                at += 1;
            }
        }
    }
}

/// Words, `::`, and every other sign for itself; no comments and no strings.
fn tokens(code: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = code;
    while let Some(first) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if first == '"' {
            string_length(rest)
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            end
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            2
        } else if rest.starts_with("'\"'") {
            3
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            first.len_utf8()
        };
        rest = &rest[length..];
    }
    tokens
}

/// Bytes of the string literal that `rest` begins with.
fn string_length(rest: &str) -> usize {
    let mut escaped = false;
    for (at, character) in rest.char_indices().skip(1) {
        match character {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}
