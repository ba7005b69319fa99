// SPDX-License-Identifier: MIT
//! The files and what is expected of them.
#![allow(clippy::unwrap_used, clippy::panic, dead_code, reason = "tests")]
use orion_system::plan::{Board, Plan};
use orion_system::{Options, Problem, derive, parse};
use std::path::Path;

pub struct Case {
    pub name: String,
    pub text: String,
    /// The board it is about, and whether with an IOMMU.
    pub board: Option<(Board, Options)>,
    pub expected: Vec<String>,
}

/// The files of the folder `kind`, by name.
pub fn cases(kind: &str) -> Vec<Case> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(kind);
    let mut paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.iter().map(|path| case(path)).collect()
}

fn case(path: &Path) -> Case {
    let text = std::fs::read_to_string(path).unwrap();
    let about = |kind: &str| -> Vec<String> {
        let begin = format!("<?{kind} ");
        let lines = text.lines().filter_map(|line| line.strip_prefix(&begin)?.strip_suffix("?>"));
        lines.map(str::to_owned).collect()
    };
    let board = about("board").first().map(|words| {
        let (name, iommu) = words.split_once(' ').unwrap_or((words, ""));
        let board = Board::from_name(name).unwrap_or_else(|| panic!("{}: no board {name}", path.display()));
        (board, Options { iommu: iommu == "iommu", ..Options::default() })
    });
    let name = path.file_name().unwrap().to_string_lossy().into_owned();
    Case { name, board, expected: about("expect"), text }
}

impl Case {
    /// The boards that the file is about.
    pub fn boards(&self) -> Vec<(Board, Options)> {
        let every = Board::ALL.into_iter().map(|board| (board, Options::default()));
        let iommu = (Board::X86_64Generic, Options { iommu: true, ..Options::default() });
        self.board.clone().map_or_else(|| every.chain([iommu]).collect(), |board| vec![board])
    }

    /// What is wrong with the file.
    pub fn problems(&self) -> Vec<Problem> {
        match (parse(&self.text), &self.board) {
            (Err(problems), _) => problems,
            (Ok(_), None) => Vec::new(),
            (Ok(system), Some((board, options))) => derive(&system, *board, options).err().unwrap_or_default(),
        }
    }

    /// What is odd in the file; nothing where it is wrong.
    pub fn warnings(&self) -> Vec<Problem> {
        parse(&self.text).map_or_else(|_| Vec::new(), |system| orion_system::warnings(&system))
    }

    /// The plan for each board that the file is about; panics where there is none.
    pub fn plans(&self) -> Vec<Plan> {
        let say = |problems: Vec<Problem>| -> Plan { panic!("{}", orion_system::report(&self.name, &problems)) };
        let plan = |(board, options)| orion_system::plan(&self.text, board, &options).unwrap_or_else(say);
        self.boards().into_iter().map(plan).collect()
    }
}
