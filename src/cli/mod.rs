//! temporary
use std::process::ExitCode;
use crate::live;
/// m
pub fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    match args.get(1).map(String::as_str) {
        Some(live::WORKER_COMMAND) => return live::worker_main(&args[2..]),
        Some(live::ACTOR_COMMAND) => return live::actor_main(&args[2..]),
        Some(live::END_COMMAND) => return live::end_main(&args[2..]),
        _ => {}
    }
    let mut jobs = Vec::new();
    for path in &args[1..] {
        let source = std::fs::read_to_string(path).unwrap();
        match crate::scenario::parse(path, path, &source) {
            Ok(all) => for s in all {
                match s.schedule() {
                    Ok(_) => jobs.push(live::Job { file: path.clone(), id: s.id.clone(), source: source.clone() }),
                    Err(d) => println!("{}", crate::scenario::Mistakes { path: path.clone(), source: source.clone(), diagnostics: d }),
                }
            },
            Err(m) => println!("{m}"),
        }
    }
    let pool = live::Pool::new(2, None).unwrap();
    pool.run(&jobs, |i, r| {
        println!("== {}", jobs[i].id);
        match r {
            live::RunResult::Ran(t) => print!("{t}"),
            live::RunResult::Inconclusive(t, w) => print!("{t}INCONCLUSIVE {w}\n"),
            other => println!("{other:?}"),
        }
    }).unwrap();
    ExitCode::SUCCESS
}
