package guard

import (
	"errors"
	"io"
	"testing"
	"testing/synctest"
)

func TestWhoTriesIsLetGoWhenTheDeviceHangsAndNoMoreThanTheSlotsHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := New()
		hang, running, late := make(chan struct{}), make(chan struct{}, 2*maxRunning), make(chan int, 2*maxRunning)
		results := make(chan error, 2*maxRunning)
		for range 2 * maxRunning {
			go func() {
				_, err := Try(g, func() (int, error) { running <- struct{}{}; <-hang; return 7, nil }, func(v int) { late <- v })
				results <- err
			}()
		}
		synctest.Wait()
		if got := len(running); got != maxRunning {
			t.Errorf("got %d that run; want %d", got, maxRunning)
		}
		for range patience + 1 {
			g.Tick(false)
		}
		for range 2 * maxRunning {
			if err := <-results; !errors.Is(err, ErrStalled) {
				t.Errorf("who waited: got %v; want ErrStalled", err)
			}
		}
		if g.Running() != maxRunning {
			t.Errorf("got %d slots taken; want all, as long as something hangs in them", g.Running())
		}
		if _, err := Try(g, func() (int, error) { return 1, nil }, nil); !errors.Is(err, ErrStalled) {
			t.Errorf("who comes later: got %v; want ErrStalled", err)
		}
		close(hang)
		for range maxRunning {
			if got := <-late; got != 7 {
				t.Errorf("what came late: got %d; want 7", got)
			}
		}
		g.Tick(false)
		if got, err := Try(g, func() (int, error) { return 1, io.EOF }, nil); got != 1 || err != io.EOF {
			t.Errorf("after that: got %d, %v; want the value and the error", got, err)
		}
		synctest.Wait()
		if len(late) != 0 || g.Running() != 0 {
			t.Errorf("got %d more late values, %d slots taken; want none", len(late), g.Running())
		}
	})
}

type closing struct {
	hang   chan struct{}
	closed chan<- int
	n      int
}

func (c closing) Close() error {
	<-c.hang
	c.closed <- c.n
	return nil
}

func TestWhatCannotBeClosedKeepsOneGoroutineAndTheOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var c Closer
		hang, closed := make(chan struct{}), make(chan int, 100)
		for i := range 100 {
			c.Add(closing{hang, closed, i})
		}
		synctest.Wait()
		if c.Idle() || len(closed) != 0 {
			t.Errorf("got %d closed; want none while they hang", len(closed))
		}
		close(hang)
		synctest.Wait()
		for i := range 100 {
			if got := <-closed; got != i {
				t.Fatalf("got %d closed; want %d", got, i)
			}
		}
		if !c.Idle() {
			t.Error("got busy; want idle when all is closed")
		}
	})
}
