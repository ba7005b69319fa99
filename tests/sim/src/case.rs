// SPDX-License-Identifier: MIT
//! A world's parameters: all that a run depends on, as one line.
use crate::faults::{FaultSet, NAMES};
use crate::random::Random;
use std::fmt::{self, Display, Formatter};
use std::str::FromStr;

/// All that a run depends on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    /// Of everything random.
    pub seed: u64,
    /// Which of the systems.
    pub system: usize,
    /// How often power is lost.
    pub losses: u32,
    /// Requests of each client between two losses.
    pub requests: u32,
    /// Requests that a client has in flight at most.
    pub depth: usize,
    /// Power is lost after this many steps at most.
    pub within: usize,
    /// PDs that die between two losses, and begin again.
    pub deaths: u32,
    /// What goes wrong.
    pub faults: FaultSet,
}

impl Case {
    /// The world of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x0510_0510_0510_0510);
        let all = FaultSet::BEARABLE;
        let faults = match random.below(4) {
            0 | 1 => FaultSet::default(),
            2 => FaultSet::from_bits(1 << random.below(7)).and(all),
            _ => FaultSet::from_bits(random.number() as u16).and(all),
        };
        Self {
            seed,
            system: random.below(crate::run::SYSTEMS),
            losses: 20 + random.below(20) as u32,
            requests: [10, 30, 100][random.below(3)],
            depth: [1, 3, 8, 16][random.below(4)],
            within: [60, 200, 600][random.below(3)],
            deaths: [0, 0, 1, 3, 9][random.below(5)],
            faults,
        }
    }

    /// Simpler worlds, the simplest first.
    pub fn simpler(&self) -> Vec<Self> {
        let mut simpler = Vec::new();
        for losses in [0, self.losses / 2, self.losses.saturating_sub(1)] {
            simpler.push(Self { losses, ..self.clone() });
        }
        for deaths in [0, self.deaths / 2, self.deaths.saturating_sub(1)] {
            simpler.push(Self { deaths, ..self.clone() });
        }
        for requests in [self.requests / 2, self.requests.saturating_sub(self.requests / 8 + 1)] {
            simpler.push(Self { requests, ..self.clone() });
        }
        simpler.push(Self { faults: FaultSet::default(), ..self.clone() });
        simpler.extend(NAMES.iter().map(|(fault, _)| Self { faults: self.faults.without(*fault), ..self.clone() }));
        simpler.push(Self { system: 0, ..self.clone() });
        simpler.extend([1, self.depth / 2].map(|depth| Self { depth: depth.max(1), ..self.clone() }));
        simpler.push(Self { within: (self.within / 2).max(1), ..self.clone() });
        simpler.retain(|case| case != self);
        simpler
    }
}

impl Display for Case {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Self { seed, system, losses, requests, depth, within, deaths, faults } = self;
        let names: Vec<_> = NAMES.iter().filter(|(fault, _)| faults.has(*fault)).map(|(_, name)| *name).collect();
        let faults = if names.is_empty() { "none".into() } else { names.join("+") };
        write!(f, "{seed},{system},{losses},{requests},{depth},{within},{deaths},{faults}")
    }
}

impl FromStr for Case {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is neither a seed nor SEED,SYSTEM,LOSSES,REQUESTS,DEPTH,WITHIN,DEATHS,FAULTS, as a failing run prints it"
            )
        };
        if let Ok(seed) = text.parse() {
            return Ok(Self::of(seed));
        }
        let fields: Vec<&str> = text.split(',').collect();
        let [seed, system, losses, requests, depth, within, deaths, faults] = fields[..] else { return Err(wrong()) };
        let mut set = FaultSet::default();
        for name in faults.split('+').filter(|name| *name != "none") {
            set = set.with(NAMES.iter().find(|(_, own)| *own == name).ok_or_else(wrong)?.0);
        }
        let number = |text: &str| text.parse::<u64>().map_err(|_| wrong());
        Ok(Self {
            seed: number(seed)?,
            system: number(system)? as usize % crate::run::SYSTEMS,
            losses: number(losses)? as u32,
            requests: number(requests)? as u32,
            depth: (number(depth)? as usize).max(1),
            within: (number(within)? as usize).max(1),
            deaths: number(deaths)? as u32,
            faults: set,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_case_is_its_line() {
        for seed in 0..200 {
            let case = Case::of(seed);
            assert_eq!(case.to_string().parse::<Case>().unwrap(), case);
            assert_eq!(seed.to_string().parse::<Case>().unwrap(), case);
        }
        assert!("7,1".parse::<Case>().is_err() && "7,0,1,1,1,1,0,nothing".parse::<Case>().is_err());
    }
}
