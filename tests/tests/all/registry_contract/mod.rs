//! What every registry must do, whichever database is behind it. Each contract becomes one test for each
//! database.

#![expect(clippy::unwrap_used, reason = "these are tests: a value that is missing is a failure")]

/// Makes a test of each contract, for each database.
macro_rules! contracts {
    ($($contract:ident,)+) => {
        mod sqlite {
            use super::super::test_grid::{Place, fulfil};
            $(
                #[test]
                fn $contract() {
                    fulfil(Some(Place::files()), super::$contract);
                }
            )+
        }

        mod postgres {
            use super::super::test_grid::{Place, fulfil};
            $(
                #[test]
                fn $contract() {
                    fulfil(Place::server(simplegrid_tests::Engine::Postgres), super::$contract);
                }
            )+
        }

        mod mysql {
            use super::super::test_grid::{Place, fulfil};
            $(
                #[test]
                fn $contract() {
                    fulfil(Place::server(simplegrid_tests::Engine::Mariadb), super::$contract);
                }
            )+
        }
    };
}

mod races;
mod reservations;
mod rows;
mod test_grid;
