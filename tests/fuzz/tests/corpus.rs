// SPDX-License-Identifier: MIT
//! Every input in the tree, and some thousand changed ones, on the build that every test has.
use orion_fuzz::TARGETS;
use orion_fuzz::corpus::inputs;
use orion_fuzz::mutate::{Numbers, mutate};

#[test]
fn every_input_in_the_tree_is_borne() {
    for target in TARGETS {
        let inputs = inputs(target.name);
        assert!(!inputs.is_empty(), "{} has no inputs", target.name);
        for (name, bytes) in inputs {
            println!("{} {name}", target.name);
            (target.run)(&bytes);
        }
    }
}

#[test]
fn changed_inputs_are_borne() {
    for target in TARGETS {
        let (inputs, mut numbers) = (inputs(target.name), Numbers::new(1));
        let rounds = if ["system", "scsi"].contains(&target.name) { 300 } else { 3000 };
        for _ in 0..rounds {
            let mut bytes = inputs[numbers.below(inputs.len())].1.clone();
            let other = &inputs[numbers.below(inputs.len())].1;
            mutate(&mut bytes, other, &[], target.most, &mut numbers);
            (target.run)(&bytes);
        }
    }
}
