//! Rollcall as Lambda functions. Each binary under `src/bin` runs the handler of one route through [`lambda`], which turns
//! an API Gateway event into a request and a response into an answer.

pub mod lambda;
