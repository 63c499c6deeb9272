//! How the release is linked: a worker that waits costs what is mapped of its program.

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script about the target in the environment"
)]
fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| std::env::var(name).is_ok_and(|found| found == value);
    // There rustc links with the linker that it brings along.
    let is_known = is("CARGO_CFG_TARGET_OS", "linux")
        && is("CARGO_CFG_TARGET_ENV", "gnu")
        && is("CARGO_CFG_TARGET_ARCH", "x86_64");
    if is_known && is("PROFILE", "release") {
        // Functions that came out the same are kept once.
        println!("cargo::rustc-link-arg-bins=-Wl,--icf=all");
        // What is relocated at the start is listed in a fortieth of the space.
        println!("cargo::rustc-link-arg-bins=-Wl,-z,pack-relative-relocs");
    }
}
