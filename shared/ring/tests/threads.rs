// SPDX-License-Identifier: MIT
//! Both ends on real threads over real memory, asleep whenever there is nothing to do. What the model checker shows of
//! the algorithm, this shows of the memory it runs on.
#![cfg(not(loom))]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests end with a panic")]
mod common;
use common::{Regions, request};
use orion_ring::{Answer, Client, Incoming, Server};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

const REQUESTS: u32 = 200_000;

/// A notification: many that were not waited for are one.
fn notification() -> (SyncSender<()>, Receiver<()>) {
    sync_channel(1)
}

fn wait(on: &Receiver<()>) {
    // Never reached by a test that passes: only so that one that fails ends.
    on.recv_timeout(Duration::from_secs(60)).expect("a wake-up was lost");
}

fn serve(mut server: Server, doorbell: &Receiver<()>, client: &SyncSender<()>) {
    let mut next = 0;
    while next < REQUESTS {
        server.wake();
        while let Some(incoming) = server.pop().unwrap() {
            assert_eq!(incoming, Incoming::Request(request(next)));
            server.push(Answer { id: next, status: Ok(()), blocks: 1 });
            next += 1;
        }
        if server.publish() {
            let _ = client.try_send(());
        }
        if next < REQUESTS && server.sleep() {
            wait(doorbell);
        }
    }
}

fn ask(mut client: Client, doorbell: &Receiver<()>, server: &SyncSender<()>) {
    let (mut asked, mut answered) = (0, 0);
    while answered < REQUESTS {
        client.wake();
        while let Some(answer) = client.pop().unwrap() {
            assert_eq!(answer, Answer { id: answered, status: Ok(()), blocks: 1 });
            answered += 1;
        }
        while asked < REQUESTS && client.push(request(asked)).is_ok() {
            asked += 1;
        }
        if client.publish() {
            let _ = server.try_send(());
        }
        if answered < REQUESTS && client.sleep() {
            wait(doorbell);
        }
    }
}

#[test]
fn two_threads_exchange_everything_and_lose_no_wake_up() {
    for (capacity, plain) in [(1, false), (3, false), (64, false), (64, true)] {
        let regions = Regions::new(capacity, plain).start_at(u32::MAX - 99_998);
        let (client, server) = regions.pair();
        let (to_server, at_server) = notification();
        let (to_client, at_client) = notification();
        std::thread::scope(|scope| {
            scope.spawn(move || serve(server, &at_server, &to_client));
            ask(client, &at_client, &to_server);
        });
        assert!(regions.intact());
    }
}
