//! Imports point one way: the picture of docs/design.md, held against the code.

use std::path::{Path, PathBuf};

/// Each module and those that it may import.
const PICTURE: &[(&str, &[&str])] = &[
    ("abi", &[]),
    ("bpf", &["abi"]),
    ("trace", &["abi"]),
    ("filter", &["abi", "bpf"]),
    ("scenario", &["abi", "bpf", "filter"]),
    ("generate", &["abi", "bpf", "filter", "scenario"]),
    ("profile", &[]),
    ("probe", &["abi", "profile"]),
    ("claim", &[]),
    ("model", &["abi", "bpf", "filter", "profile", "scenario", "trace"]),
    ("live", &["abi", "bpf", "filter", "scenario", "trace"]),
    ("verdict", &["claim", "model", "profile", "scenario", "trace"]),
    ("suite", &["claim", "live", "model", "profile", "scenario", "trace", "verdict"]),
    ("report", &["claim", "profile", "scenario", "suite", "trace", "verdict"]),
    ("explore", &["generate", "live", "model", "profile", "scenario", "trace", "verdict"]),
    (
        "fuzz",
        &[
            "abi", "bpf", "explore", "filter", "generate", "live", "model", "profile", "scenario",
            "suite",
        ],
    ),
    ("export", &["abi", "filter", "scenario", "trace"]),
    ("vm", &["live", "suite"]),
    ("demo", &["abi", "filter"]),
    (
        "cli",
        &[
            "bpf", "claim", "demo", "explore", "export", "fuzz", "live", "model", "profile",
            "report", "scenario", "suite", "trace", "verdict", "vm",
        ],
    ),
];

/// Modules in which `unsafe` may stand, as files or folders of `src`.
const UNSAFE: &[&str] = &["abi", "live", "demo", "vm"];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("the folder can be read");
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.expect("the folder can be read").path();
        if path.is_dir() {
            files.extend(sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
    files
}

/// The lines of a file that are code.
fn code(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).expect("a source can be read");
    text.lines().map(|line| line.split("//").next().unwrap_or_default().to_owned()).collect()
}

fn module_of(path: &Path, src: &Path) -> String {
    let relative = path.strip_prefix(src).expect("it lies in src");
    let first = relative.iter().next().expect("it has a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

#[test]
fn imports_follow_the_picture() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut wrong = Vec::new();
    for path in sources(&src) {
        let module = module_of(&path, &src);
        if module == "lib" || module == "main" {
            continue;
        }
        let Some((_, allowed)) = PICTURE.iter().find(|(name, _)| *name == module) else {
            wrong.push(format!("{}: no module {module:?} in the picture", path.display()));
            continue;
        };
        for (number, line) in code(&path).iter().enumerate() {
            for part in line.split("crate::").skip(1) {
                let end = part.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
                let imported = &part[..end.unwrap_or(part.len())];
                if part.starts_with('{') {
                    let place = format!("{}:{}", path.display(), number + 1);
                    wrong.push(format!("{place}: braces after crate:: hide the arrows"));
                }
                if imported != module && !imported.is_empty() && !allowed.contains(&imported) {
                    let place = format!("{}:{}", path.display(), number + 1);
                    wrong.push(format!("{place}: {module} imports {imported}"));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "arrows that the picture does not have:\n{}", wrong.join("\n"));
}

#[test]
fn unsafe_code_stands_only_where_the_design_puts_it() {
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for path in sources(&src) {
        let module = module_of(&path, &src);
        let has = code(&path).iter().any(|line| {
            ["unsafe {", "unsafe fn", "unsafe impl", "unsafe extern"]
                .iter()
                .any(|word| line.contains(word))
        });
        assert!(!has || UNSAFE.contains(&module.as_str()), "{}", path.display());
    }
}
