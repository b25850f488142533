//! The catalogue is compiled in; Cargo does not see by itself that it changed.

fn main() {
    println!("cargo::rerun-if-changed=scenarios");
}
