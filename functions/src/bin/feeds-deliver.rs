//! The function `feeds-deliver`, which the table's stream and a schedule start.

fn main() -> Result<(), functions::lambda::Error> {
    functions::deliver::run()
}
