//! The macro that makes a library a plugin.

/// Makes a library a plugin by naming its tasks and partitioners. A library calls it exactly once.
///
/// ```text
/// simplegrid_plugin_api::export! {
///     tasks: { "email-domain" => EmailDomain },
///     partitioners: { "by-email-domain" => ByEmailDomain },
/// }
/// ```
///
/// A task is a type that implements [`Task`](crate::Task). A partitioner is a constant expression whose value
/// implements [`Partitioner`](crate::Partitioner). You can leave out the partitioners, or the tasks.
#[macro_export]
macro_rules! export {
    (
        tasks: { $($task:literal => $type:ty),* $(,)? }
        $(, partitioners: { $($partitioner:literal => $value:expr),* $(,)? })? $(,)?
    ) => {
        const _: () = {
            struct Plugin;

            impl $crate::glue::Library for Plugin {
                const PACKAGE: &'static str = env!("CARGO_PKG_NAME");
                const VERSION: &'static str = env!("CARGO_PKG_VERSION");

                fn tasks() -> &'static [$crate::glue::TaskEntry] {
                    const { &[$($crate::glue::TaskEntry::of::<$type>($task)),*] }
                }

                fn partitioners() -> &'static [$crate::glue::PartitionerEntry] {
                    const {
                        &[$($(
                            $crate::glue::PartitionerEntry { name: $partitioner, partitioner: &$value }
                        ),*)?]
                    }
                }
            }

            /// Which version of the plugin API this was built with, readable by any host.
            #[unsafe(no_mangle)]
            pub static SIMPLEGRID_PLUGIN_API_VERSION: $crate::abi::VersionText =
                $crate::abi::VersionText::ours();

            // What `#[abi_stable::export_root_module]` expands to, with paths through this crate, so that a
            // plugin need not depend on abi_stable itself.
            #[unsafe(no_mangle)]
            pub static _1as_0lib_1header_0root_bmodule_bloader: $crate::__abi_stable::library::LibHeader = {
                use $crate::__abi_stable::library::{
                    __call_root_module_loader, CheckTypeLayout, LibHeader, RootModuleResult,
                };

                extern "C" fn load() -> RootModuleResult {
                    __call_root_module_loader($crate::glue::root::<Plugin>)
                }

                // SAFETY: `load` returns the root module of the type that it is declared with, and the
                // layout of that type is passed along to be checked.
                unsafe { LibHeader::from_constructor::<$crate::abi::PluginRef>(load, CheckTypeLayout::Yes) }
            };
        };
    };
    (partitioners: { $($partitioners:tt)* } $(,)?) => {
        $crate::export! { tasks: {}, partitioners: { $($partitioners)* } }
    };
}
