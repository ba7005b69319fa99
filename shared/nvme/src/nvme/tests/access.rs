// SPDX-License-Identifier: MIT
//! Which disk it is, and what the way to it is worth.
use super::*;
use orion_block::Access;

fn reporting(shape: &mut Shape) {
    shape.controller.cmic = 8;
    shape.controller.ana_seconds = 7;
    shape.controller.oaes = (1 << 8 | 1 << 11).into();
}

/// Two namespaces, in groups 5 and 6 of a controller with these states.
fn rig(states: [u8; 2], shape: Shape) -> Rig {
    let space = |group: u32, name: u8| {
        Space::new(64, 9).with(|identify| (identify.ana_group, identify.nguid) = (group.into(), [name; 16]))
    };
    let [dma, dma_device, dma_test] = model::memory(DMA_BYTES);
    let [data, data_device] = model::memory(DATA_LEN);
    let memory = vec![(DMA_BUS, dma_device), (DATA_BUS, data_device)];
    let device = Model::new(shape, vec![(1, space(5, 0xa1)), (2, space(6, 0xa2))], memory);
    (device.borrow_mut().access) = [(5, states[0]), (6, states[1])].into();
    let places = [1, 2].map(|namespace| Place { namespace, ..Place::FIRST });
    let nvme = driver(&device, dma, &places, Wishes::default(), |_| {}).unwrap();
    Rig { nvme, device, data, dma: dma_test, lives: Vec::new() }
}

fn access(rig: &Rig) -> [Access; 2] {
    [0, 1].map(|unit| rig.nvme.route(Unit(unit)).access)
}

#[test]
fn a_disk_says_which_it_is_and_two_controllers_of_a_subsystem_the_same() {
    let named = |serial: u8| {
        Shape::new().with(|shape| {
            shape.controller.serial = [serial; 20];
            shape.subsystem[..4].copy_from_slice(b"nqn.");
        })
    };
    let [one, other] = [b'1', b'2'].map(|serial| rig([1, 1], named(serial)));
    let routes = [0, 1].map(|unit| [&one, &other].map(|rig| rig.nvme.route(Unit(unit))));
    for [a, b] in routes {
        assert!(a.same_disk(&b), "{a:?} {b:?}");
    }
    assert!(!routes[0][0].same_disk(&routes[1][0]), "another namespace");
    let text = b"nguid.a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1a1\0\0";
    assert_eq!(routes[0][0].identity.as_flattened(), text);
    // The same names in another subsystem are another disk.
    let stranger = rig([1, 1], Shape::new());
    assert!(!stranger.nvme.route(Unit(0)).same_disk(&routes[0][0]));
}

#[test]
fn access_states_are_read_at_the_start_and_where_the_controller_tells_of_a_change() {
    let mut rig = rig([1, 2], Shape::new().with(reporting));
    assert_eq!(access(&rig), [Access::Optimised, Access::NonOptimised]);
    rig.settle();
    rig.nvme.take_change();
    for (state, expected) in
        [(3, Access::Inaccessible), (15, Access::Changing(7)), (4, Access::Lost), (1, Access::Optimised)]
    {
        rig.device.borrow_mut().set_access(6, state);
        rig.settle();
        assert_eq!(access(&rig), [Access::Optimised, expected]);
        assert!(rig.nvme.take_change(), "those above are told");
    }
    // A page that cannot be read changes nothing.
    rig.device.borrow_mut().mischief = Some(Mischief::AdminStatus(6));
    rig.device.borrow_mut().set_access(6, 3);
    rig.settle();
    assert_eq!(access(&rig), [Access::Optimised; 2]);
    assert!(!rig.nvme.take_change());
}

#[test]
fn one_that_does_not_report_is_never_asked() {
    let mut rig = rig([3, 3], Shape::new().with(|shape| shape.controller.ana_seconds = 7));
    rig.device.borrow_mut().access.clear();
    rig.settle();
    assert_eq!(access(&rig), [Access::Optimised; 2]);
    assert_eq!(rig.one(request(Op::Read, 0, 1, 0)).status, Ok(()));
}

#[test]
fn a_request_that_is_refused_because_of_the_way_says_so_and_the_state_is_read_again() {
    for (state, error, expected) in [
        (3, Error::Offline, Access::Inaccessible),
        (4, Error::Offline, Access::Lost),
        (15, Error::Again, Access::Changing(7)),
    ] {
        let mut rig = rig([1, 1], Shape::new().with(reporting));
        rig.settle();
        // It changes and does not tell.
        rig.device.borrow_mut().access.insert(5, state);
        assert_eq!(rig.one(request(Op::Read, 0, 1, 0)).status, Err(error));
        rig.settle();
        assert_eq!(access(&rig), [expected, Access::Optimised]);
        // After a reset too.
        rig.device.borrow_mut().access.insert(5, 2);
        rig.device.borrow_mut().mischief = Some(Mischief::Fail);
        rig.send(1, request(Op::Read, 0, 1, 0));
        rig.nvme.kick();
        rig.device.borrow_mut().serve();
        assert_eq!(rig.wait(SECOND, 1)[0].1.status, Ok(()));
        assert_eq!(access(&rig)[0], Access::NonOptimised);
    }
}
