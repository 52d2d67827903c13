// Package rebalance says which devices a rebalance takes files from, where it may put
// them, and how far it has come. Facts in, answer out.
//
// An operator sets the policy "from_percent_used=90 to_percent_free=50": [Parse] makes
// the text a [Policy], or says what is wrong with it. When the rebalance is started,
// Sources picks the devices that are more than 90 % full and [Begin] makes them a
// [State], whose text is kept in the database. From then on the job that injects files
// reads the state with [ParseState], asks Destinations where the files may go, and
// writes the state back after each pass, so that another tracker, ours or not, can go on
// with it.
//
// What it does not do: no I/O, no clock, no chance. It moves nothing and knows no
// database. The rules and both texts are those of docs/spec/jobs.md §8.
package rebalance
