// Package crew works off queues: it claims rows that are due, has workers do what is to be
// done, and writes down what became of each (docs/spec/jobs.md §3).
//
// A row is due. A [Crew] that was told so by [Crew.Wake], or looked by itself, claims it
// with others for a minute, in which no other tracker gets it, and has what is known of them
// read at once ([Source.Load]). A worker who is idle is handed the row ([Source.Do]), while
// the claim is renewed. His [Outcome] says what is to become of it: what is finished is
// removed together with others a little later, what has failed comes due again, ever more
// rarely. At the end of the process what was not done is given back; should the process die,
// the claims run out, and another tracker finds the rows.
//
// What it does not do: know what the work is, fill queues, or take the locks of files. That
// is up to whoever employs the crew (package job).
//
//	c := crew.New(crew.Config{Store: db, Workers: 16, Rand: rand.Float64, Logger: log},
//		crew.Source{Queue: store.ReplicateQueue, Do: replicate})
//	keepers.Go(c.Keep)
//	c.Employ(ctx, &wg)
//	wg.Go(func() { c.Run(ctx) })
//	...
//	cancel()
//	wg.Wait()
//	c.Release()
//	keepers.Wait()
package crew
