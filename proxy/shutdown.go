package proxy

import (
	"context"
	"net"
	"time"
)

// Shutdown stops accepting, closes the connections that have nothing under way,
// waits for the others to come to the end of their exchanges, and closes them
// too. Connections of which it cannot be told (TLS that is not opened, unknown
// protocols, WebSocket) are waited for until they end. When ctx ends before
// that, what is left is closed, and ctx's error returned.
func (s *Server) Shutdown(ctx context.Context) error {
	s.stopListening()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		left, gone := s.closeIdle()
		if left == 0 {
			s.cancel()
			return nil
		}
		select {
		case <-ctx.Done():
			s.Close()
			return ctx.Err()
		case <-gone:
		case <-tick.C:
		}
	}
}

// Close stops accepting, cuts all connections and waits for what served them to
// return.
func (s *Server) Close() error {
	s.stopListening()
	s.cancel()
	for {
		s.mu.Lock()
		for c := range s.clients {
			c.conn.Close()
		}
		left, gone := len(s.clients), s.gone
		s.mu.Unlock()
		if left == 0 {
			return nil
		}
		<-gone
	}
}

func (s *Server) stopListening() {
	s.setup()
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.closed = true
		close(s.stopped)
	}
	for l := range s.ports {
		l.Close()
	}
}

// closeIdle closes what has nothing under way, and tells how many are left, and
// how to know when one has gone.
func (s *Server) closeIdle() (left int, gone <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.clients {
		if c.idle() {
			c.conn.Close()
		}
	}
	return len(s.clients), s.gone
}

func (s *Server) add(l net.Listener) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.closed {
		s.ports[l] = struct{}{}
	}
	return !s.closed
}

func (s *Server) remove(l net.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.ports, l)
}

func (s *Server) isClosed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.closed
}
