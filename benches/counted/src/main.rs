//! Counts, and compares with what was kept.

use std::{collections::BTreeMap, env, fs, path::Path, process::Command, process::ExitCode};

use allocation_counter::measure;
use counted::{engine, notices, pages, sends, subscribers};
use serde::{Deserialize, Serialize};

/// By how much a count may pass the kept one.
const SLACK: f64 = 1.03;

/// The counts of every case, and the compiler that they hold for.
#[derive(Debug, Default, Deserialize, Serialize)]
struct Counts {
    /// Instructions differ from one compiler to the next; allocations hardly do.
    compiler: String,
    instructions: BTreeMap<String, u64>,
    allocations: BTreeMap<String, u64>,
}

fn allocations() -> BTreeMap<String, u64> {
    fn count<T, R>(name: &str, ready: T, work: impl FnOnce(T) -> R) -> (String, u64) {
        let mut result = None;
        let info = measure(|| result = Some(work(ready)));
        drop(result);
        (name.to_owned(), info.count_total)
    }
    [
        count("decode one", pages(1), counted::decode),
        count("decode fifty", pages(50), counted::decode),
        count("receive one", engine(pages(1)), counted::receive),
        count("receive fifty", engine(pages(50)), counted::receive),
        count("pull notices", engine(notices()), counted::receive),
        count("send one_at_a_time", sends(), counted::send),
        count("fan_out one", subscribers(1), counted::fan_out),
        count("fan_out hundred", subscribers(100), counted::fan_out),
    ]
    .into()
}

/// Runs the benches and reads the summaries that they leave.
fn instructions(home: &Path) -> Result<BTreeMap<String, u64>, String> {
    let status = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .args(["bench", "--bench", "instructions", "--", "--save-summary=json"])
        .current_dir(home)
        .status()
        .map_err(|error| format!("cargo bench: {error}"))?;
    if !status.success() {
        return Err("the benches failed".to_owned());
    }
    let target = env::var_os("CARGO_TARGET_DIR").map_or_else(|| home.join("target"), Into::into);
    let mut found = BTreeMap::new();
    read_summaries(&target.join("gungraun"), &mut found).map_err(|error| error.to_string())?;
    if found.is_empty() { Err("the benches left no summary".to_owned()) } else { Ok(found) }
}

fn read_summaries(folder: &Path, found: &mut BTreeMap<String, u64>) -> std::io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            read_summaries(&path, found)?;
        } else if path.file_name().is_some_and(|name| name == "summary.json") {
            let summary: serde_json::Value = serde_json::from_slice(&fs::read(&path)?)?;
            let name = format!(
                "{} {}",
                summary["function_name"].as_str().unwrap_or_default(),
                summary["id"].as_str().unwrap_or_default()
            );
            if let Some(count) = instructions_of(&summary) {
                found.insert(name, count);
            }
        }
    }
    Ok(())
}

/// Finds the count of this run.
fn instructions_of(value: &serde_json::Value) -> Option<u64> {
    match value {
        serde_json::Value::Object(members) => match members.get("Ir") {
            Some(count) => count["values"]["new"].as_u64(),
            None => members.values().find_map(instructions_of),
        },
        serde_json::Value::Array(items) => items.iter().find_map(instructions_of),
        _ => None,
    }
}

fn compare(what: &str, kept: &BTreeMap<String, u64>, now: &BTreeMap<String, u64>, binding: bool) -> u32 {
    let mut worse = 0;
    for (name, &count) in now {
        let Some(&before) = kept.get(name) else {
            println!("{what:12} {name:24} {count:>12}  new");
            continue;
        };
        let ratio = count as f64 / before.max(1) as f64;
        let passed = count as f64 > before as f64 * SLACK;
        worse += u32::from(passed && binding);
        let verdict = if passed { "MORE" } else { "" };
        println!("{what:12} {name:24} {count:>12}  kept {before:>12}  {ratio:.3} {verdict}");
    }
    worse
}

fn main() -> ExitCode {
    let home = Path::new(env!("CARGO_MANIFEST_DIR"));
    let file = home.join("counts.json");
    let version = Command::new("rustc").arg("--version").output();
    let compiler = version.map_or_else(|_| String::new(), |out| String::from_utf8_lossy(&out.stdout).trim().to_owned());
    let instructions = match instructions(home) {
        Ok(instructions) => instructions,
        Err(error) => {
            eprintln!("counting instructions: {error}");
            return ExitCode::FAILURE;
        }
    };
    let now = Counts { compiler, instructions, allocations: allocations() };
    if env::args().any(|argument| argument == "--keep") {
        let text = serde_json::to_string_pretty(&now).map_err(|error| error.to_string());
        return match text.and_then(|text| fs::write(&file, text + "\n").map_err(|error| error.to_string())) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("counts.json: {error}");
                ExitCode::FAILURE
            }
        };
    }
    let kept: Counts = match fs::read(&file)
        .map_err(|error| error.to_string())
        .and_then(|text| serde_json::from_slice(&text).map_err(|error| error.to_string()))
    {
        Ok(kept) => kept,
        Err(error) => {
            eprintln!("counts.json: {error}");
            return ExitCode::FAILURE;
        }
    };
    let same_compiler = kept.compiler == now.compiler;
    if !same_compiler {
        println!("instructions are shown only: they were kept for {}, this is {}", kept.compiler, now.compiler);
    }
    let worse = compare("instructions", &kept.instructions, &now.instructions, same_compiler)
        + compare("allocations", &kept.allocations, &now.allocations, true);
    if worse == 0 {
        println!("{} counts are within 3 % of those kept", now.instructions.len() + now.allocations.len());
        ExitCode::SUCCESS
    } else {
        eprintln!("{worse} counts have grown by more than 3 %");
        ExitCode::FAILURE
    }
}
