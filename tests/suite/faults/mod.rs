//! What goes wrong in the middle.

mod adoption;
mod fences;
mod fleet;
mod guards;
mod hosts;
mod killed;
mod mixed;
mod nodes;
mod power;
mod reloads;
mod removal;
mod trial;

/// Shows what a matrix came to, to who runs it with `--nocapture`.
#[expect(clippy::print_stdout, reason = "a matrix of cases is there to be read")]
fn show(text: &str) {
    println!("{text}");
}
