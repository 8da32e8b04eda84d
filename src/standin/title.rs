//! Process titles as `ps` shows them.
//!
//! nginx overwrites its argument area. So does this, through `/proc/self/mem`, which needs no `unsafe`: the area was
//! laid out by the kernel, lies outside everything that Rust owns, and is not read again after start. Where it cannot
//! be written the title stays as it was given by `arg0`.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;

/// Field number of `arg_start` in /proc/PID/stat, counted from 1; `arg_end` follows (`proc_pid_stat(5)`).
const ARG_START: usize = 48;

/// The title of this process.
#[derive(Debug)]
pub(super) struct Title {
    memory: File,
    start: u64,
    /// As long as the arguments were.
    room: usize,
}

impl Title {
    /// Opens the argument area. Before any change of user: afterwards the kernel refuses a process its own memory.
    pub(super) fn open() -> io::Result<Self> {
        let (start, end) = argument_area()?;
        let room = usize::try_from(end - start).map_err(io::Error::other)?;
        Ok(Self { memory: File::options().write(true).open("/proc/self/mem")?, start, room })
    }

    /// Replaces the command line and the short name, which would be that of the link that was started. Cut to the
    /// size of the area.
    pub(super) fn set(&self, title: &str) -> io::Result<()> {
        nix::sys::prctl::set_name(c"nginx")?;
        // The last byte stays NUL: otherwise the kernel goes on reading into the environment.
        let mut bytes = title.as_bytes()[..title.len().min(self.room - 1)].to_vec();
        bytes.resize(self.room, 0);
        self.memory.write_all_at(&bytes, self.start)
    }
}

fn argument_area() -> io::Result<(u64, u64)> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // The second field is the program's name in parentheses and may hold blanks; the third follows the last one.
    let fields: Vec<&str> = stat.rsplit_once(") ").map_or(vec![], |(_, rest)| rest.split_whitespace().collect());
    let field = |number: usize| fields.get(number - 3).and_then(|text| text.parse::<u64>().ok());
    match (field(ARG_START), field(ARG_START + 1)) {
        (Some(from), Some(to)) if from > 0 && to > from => Ok((from, to)),
        _ => Err(io::Error::other("/proc/self/stat shows no argument area")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_area_is_what_the_command_line_is_read_from() {
        let (start, end) = argument_area().unwrap();
        let mut bytes = vec![0; usize::try_from(end - start).unwrap()];
        File::open("/proc/self/mem").unwrap().read_exact_at(&mut bytes, start).unwrap();
        assert_eq!(bytes, fs::read("/proc/self/cmdline").unwrap());
    }
}
