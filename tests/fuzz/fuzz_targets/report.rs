//! Fuzzes `simplegrid_fuzz_targets::report`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| simplegrid_fuzz_targets::report(data));
