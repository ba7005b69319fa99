// SPDX-License-Identifier: MIT
//! Protected calls between processes.
use orion_host_tests::Place;

const PROGRAM: &str = env!("CARGO_BIN_EXE_orion-host-tests");

/// Each call gets its answer; a channel that is for no calls refuses, and so does who dies before it answers, and who is dead.
#[test]
fn calls_are_answered_and_the_dead_refuse() {
    let system = r#"<system xmlns:orion="urn:orion-storage:1">
          <protection_domain name="caller" priority="90"><program_image path="caller.elf"/></protection_domain>
          <protection_domain name="callee" priority="91"><program_image path="callee.elf"/></protection_domain>
          <channel><end pd="caller" id="3" pp="true"/><end pd="callee" id="5"/></channel>
          <channel><end pd="caller" id="4"/><end pd="callee" id="3"/></channel>
        </system>"#;
    for options in [&[][..], &["--cpus", "all"]] {
        let place = Place::new();
        let mut run = place.run(PROGRAM, system, options);
        run.wait_for("verdict", "pd", "caller");
        assert_eq!(
            run.said("caller"),
            ["5000 calls, 0 wrong answers", "refused: without calls true, by the dying true, by the dead true"]
        );
        assert_eq!(run.said("callee")[0], "served 5001 calls over channel 5");
        assert!(run.fault("callee").unwrap_or_default().contains("panicked"));
        run.end();
    }
}
