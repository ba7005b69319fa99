// SPDX-License-Identifier: MIT
//! Arrays that mdadm made, places against an oracle, parity against its definition, and what is refused.
mod corrupt;
mod disks;
mod engine;
mod golden;
mod image;
mod intent;
mod journals;
mod life;
mod live;
mod logs;
mod operate;
mod parity;
mod places;
mod replace;
mod reshape;
mod rig;
mod scrub;
mod stripes;
