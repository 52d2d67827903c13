// Command bench measures caddy-mogilefs beside its peers, all in one run on one
// machine, and prints a table of ratios for docs/performance.md.
//
// It builds cmd/caddy, starts it with a store of two devices and a file_server
// site over the same picture, starts nginx over that picture too, and loads each
// in turns: wrk for reads, connections of its own for the tracker and for uploads.
// Every figure is the median of several rounds, so that a busy moment of the
// machine hits all peers alike.
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
	// measure returns how many per second it managed.
	measure func(context.Context, time.Duration) (float64, error)
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
	fmt.Println("| work | who | per second | ours against it |")
	fmt.Println("|---|---|---|---|")
	for _, c := range s.contests() {
		if err := c.play(ctx, rounds, each); err != nil {
			return fmt.Errorf("%s: %w", c.work, err)
		}
	}
	return nil
}

// play measures all rivals in turns and prints the medians.
func (c contest) play(ctx context.Context, rounds int, each time.Duration) error {
	figures := make([][]float64, len(c.rivals))
	for range rounds {
		for i, r := range c.rivals {
			got, err := r.measure(ctx, each)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			figures[i] = append(figures[i], got)
		}
	}
	ours := median(figures[0])
	for i, r := range c.rivals {
		ratio := "1"
		if i > 0 {
			ratio = fmt.Sprintf("%.2f", ours/median(figures[i]))
		}
		fmt.Printf("| %s | %s | %.0f %s | %s |\n", c.work, r.name, median(figures[i]), c.unit, ratio)
	}
	return nil
}

func median(v []float64) float64 {
	sorted := slices.SortedFunc(slices.Values(v), cmp.Compare[float64])
	return sorted[len(sorted)/2]
}
