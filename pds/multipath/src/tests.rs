// SPDX-License-Identifier: MIT
//! The PD between a client's ring and the rings of drivers that say what they like of themselves.
use super::*;
use orion_block::{Access, Error, Instant, Route};
use orion_layer_pd::model::{Rig, disk};
use orion_pd::model::SECOND;
use std::vec::Vec;

type Ways = Rig<MultipathPd>;

fn route(disk: u8, access: Access) -> Route {
    Route { identity: [[b'a' + disk; 8]; 5], family: 7, access }
}

/// Ways that say this of themselves, or never anything.
fn ways(routes: &[Option<Route>]) -> Ways {
    Rig::new(&routes.iter().map(|route| route.map(disk)).collect::<Vec<_>>())
}

const GOOD: Access = Access::Optimised;

#[test]
fn requests_fail_over_and_come_back() {
    let mut rig = ways(&[Some(route(0, GOOD)), Some(route(0, GOOD))]);
    assert!(rig.world.said("2 of 2 ways to aaaaaaaa"), "{:?}", rig.world.printed);
    rig.below[0].answer = Some(Err(Error::Offline));
    rig.ask(1);
    assert_eq!(rig.answers(), [(1, Ok(()))]);
    rig.below[0].answer = Some(Ok(()));
    rig.below[1].answer = None;
    rig.reborn(0, &disk(route(0, GOOD)));
    rig.ask(2);
    assert_eq!(rig.answers(), [(2, Ok(()))], "what was mended is used again");
}

#[test]
fn what_a_dead_driver_held_is_asked_again_of_its_next_life_only_if_that_has_the_same_disk() {
    for (number, expected) in [(0, 1), (1, 0)] {
        let mut rig = ways(&[Some(route(0, GOOD)), Some(route(0, GOOD))]);
        rig.below[0].answer = None;
        rig.ask(1);
        assert_eq!(rig.below[0].held.len(), 1);
        rig.reborn(0, &disk(route(number, GOOD)));
        assert_eq!(rig.below[0].held.len(), expected);
        rig.below[0].answer = Some(Ok(()));
        rig.run();
        assert_eq!(rig.answers(), [(1, Ok(()))], "by the one or the other");
        assert_eq!(rig.world.said("the way over p0 is closed: its driver came back as another disk"), expected == 0);
    }
}

#[test]
fn ways_are_joined_only_where_all_say_that_they_lead_to_one_disk() {
    let other_family = Route { family: 8, ..route(0, GOOD) };
    for (second, words) in [
        (route(1, GOOD), "p1 is bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb of the subsystem 0000000000000007"),
        (other_family, "p1 is aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa of the subsystem 0000000000000008"),
        (Route::default(), "p1 is a disk that does not say which it is"),
    ] {
        let mut rig = ways(&[Some(route(0, GOOD)), Some(second)]);
        assert!(rig.world.said("the ways are not joined") && rig.world.said(words), "{:?}", rig.world.printed);
        assert!(rig.client.server().is_none(), "nothing is served");
    }
    let rig = ways(&[Some(Route::default()), Some(Route::default())]);
    assert!(rig.world.said("the ways are not joined"), "two disks that say nothing are not one");
}

#[test]
fn access_states_are_followed() {
    let mut rig = ways(&[Some(route(0, Access::NonOptimised)), Some(route(0, GOOD))]);
    assert!(rig.world.said("the way over p0 is non-optimised"));
    let mut next = 0;
    for (states, way) in [
        ([Access::NonOptimised, GOOD], 1),
        ([GOOD, Access::Inaccessible], 0),
        ([Access::Lost, Access::NonOptimised], 1),
        ([Access::NonOptimised, Access::Changing(9)], 0),
    ] {
        for (below, access) in rig.below.iter_mut().zip(states) {
            below.ring.announce(&disk(route(0, access)));
            below.answer = None;
        }
        rig.run();
        next += 1;
        rig.ask(next);
        assert_eq!(rig.below.iter().position(|below| !below.held.is_empty()), Some(way), "{states:?}");
        rig.below.iter_mut().for_each(|below| below.answer = Some(Ok(())));
        rig.run();
        assert_eq!(rig.answers(), [(next, Ok(()))]);
    }
    assert!(rig.world.said("the way over p1 is changing now"));
    // One that says another name meanwhile leads nowhere.
    rig.below[0].ring.announce(&disk(route(1, GOOD)));
    rig.run();
    rig.ask(99);
    assert_eq!(rig.answers(), [], "the other changes, and is waited for");
    rig.below[1].ring.announce(&disk(route(0, GOOD)));
    rig.run();
    assert_eq!(rig.answers(), [(99, Ok(()))]);
}

#[test]
fn one_that_never_comes_is_not_waited_for_for_ever() {
    let mut rig = ways(&[None, Some(route(0, GOOD))]);
    assert!(rig.client.server().is_none());
    rig.world.now = Instant(3 * SECOND);
    rig.run();
    assert!(rig.world.said("there is no way over p0: its driver is not ready in time"), "{:?}", rig.world.printed);
    assert!(rig.world.said("1 of 2 ways to"));
    rig.ask(1);
    assert_eq!(rig.answers(), [(1, Ok(()))]);
}
