// Command bench measures caddy-mogilefs beside its peers, all in one run on one
// machine, and prints a table of ratios for docs/performance.md.
//
// It builds cmd/caddy, starts it with a store of two devices and a file_server
// site over the same picture, starts nginx over that picture too, and loads each
// in turns: wrk for reads, connections of its own for the tracker and for uploads.
// Every figure is the median of several rounds, so that a busy moment of the
// machine hits all peers alike. The load runs on the same processors and takes its
// share of them; the processor time that a server spent on a request tells more of
// the server alone.
//
// The sites under comparison are alike: one handler each, no access log.
//
// It needs wrk and nginx, and is no test: nothing fails when a number is low.
package main

import (
	"cmp"
	"context"
	"flag"
	"fmt"
	"log"
	"os"
	"os/signal"
	"slices"
	"time"
)

func main() {
	log.SetFlags(0)
	rounds := flag.Int("rounds", 5, "how often each is measured")
	each := flag.Duration("time", 3*time.Second, "how long each measurement takes")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	if err := run(ctx, *rounds, *each); err != nil {
		log.Print("bench: ", err)
		os.Exit(1)
	}
}

// contest is one line of work with whoever does it; the first is ours.
type contest struct {
	work   string
	unit   string
	rivals []rival
}

type rival struct {
	name string
	// measure returns how many it managed in a second.
	measure func(context.Context, time.Duration) (float64, error)
	// server is the process that does the work; 0 when it is this one.
	server int
}

func run(ctx context.Context, rounds int, each time.Duration) error {
	dir, err := os.MkdirTemp("", "mogilefs-bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	s, err := startServers(ctx, dir)
	if err != nil {
		return err
	}
	defer s.stop()
	fmt.Println("| work | who | per second | ours against it | processor time each | its against ours |")
	fmt.Println("|---|---|---|---|---|---|")
	for _, c := range s.contests() {
		if err := c.play(ctx, rounds, each); err != nil {
			return fmt.Errorf("%s: %w", c.work, err)
		}
	}
	return nil
}

// figures are what one rival managed, one for each round.
type figures struct{ perSecond, cpuEach []float64 }

// play measures all rivals in turns and prints the medians.
func (c contest) play(ctx context.Context, rounds int, each time.Duration) error {
	all := make([]figures, len(c.rivals))
	for range rounds {
		for i, r := range c.rivals {
			if err := all[i].add(ctx, r, each); err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
		}
	}
	ours := all[0]
	for i, r := range c.rivals {
		rate, cpu, rateRatio, cpuRatio := median(all[i].perSecond), "", "1", ""
		if i > 0 {
			rateRatio = fmt.Sprintf("%.2f", median(ours.perSecond)/rate)
		}
		if r.server != 0 {
			cpu = fmt.Sprintf("%.0f µs", median(all[i].cpuEach)*1e6)
			cpuRatio = fmt.Sprintf("%.2f", median(all[i].cpuEach)/median(ours.cpuEach))
		}
		fmt.Printf("| %s | %s | %.0f %s | %s | %s | %s |\n", c.work, r.name, rate, c.unit, rateRatio, cpu, cpuRatio)
	}
	return nil
}

// add measures a rival once more.
func (f *figures) add(ctx context.Context, r rival, each time.Duration) error {
	before, err := cpuTime(r.server)
	if err != nil {
		return err
	}
	began := time.Now()
	perSecond, err := r.measure(ctx, each)
	if err != nil {
		return err
	}
	took := time.Since(began).Seconds()
	after, err := cpuTime(r.server)
	if err != nil {
		return err
	}
	f.perSecond = append(f.perSecond, perSecond)
	f.cpuEach = append(f.cpuEach, (after-before)/(perSecond*took))
	return nil
}

func median(v []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(v), cmp.Compare[float64])
	return sorted[len(sorted)/2]
}
