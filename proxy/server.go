package proxy

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime/debug"
	"sync"
	"time"

	"github.com/proxyglass/proxyglass/sniff"
)

// ErrServerClosed is returned by Server.Serve and Server.ListenAndServe after
// Shutdown or Close.
var ErrServerClosed = errors.New("proxy: server closed")

// A Server accepts clients, learns from its Front where they want to go, dials
// and hands both connections to its Pipeline. The zero value is an HTTP proxy
// that records nothing.
//
// Its fields must not change once it serves.
type Server struct {
	// Pipeline looks at what passes. Nil: one of zero value, which relays.
	Pipeline *Pipeline
	// Front learns the target. Nil: an HTTP proxy that is open to everybody.
	Front Front
	// Dial connects to the target. Nil: a net.Dialer with DialTimeout.
	Dial DialFunc
	// DialTimeout bounds each dial, also one by Dial. Zero: 30 s.
	DialTimeout time.Duration
	// MaxConns bounds how many clients are served at once; others wait to be
	// accepted. Zero: no bound.
	MaxConns int
	// Logger is told what ends connections. Nil: quiet.
	Logger *slog.Logger

	init    sync.Once
	ctx     context.Context
	cancel  context.CancelFunc
	plain   *Pipeline // in the place of a nil Pipeline
	mu      sync.Mutex
	closed  bool
	ports   map[net.Listener]struct{}
	clients map[*client]struct{}
	gone    chan struct{} // closed, and made anew, when a client has gone
	stopped chan struct{} // closed when nothing more is accepted
	room    chan struct{} // has a token for each client, up to MaxConns; nil: no bound
}

// A client is one accepted connection.
type client struct {
	conn    *sniff.Conn
	session *session // nil while the front listens
	mu      sync.Mutex
}

// ListenAndServe is an HTTP proxy on addr that looks with p, until ctx ends or
// the listener fails. It then waits for running exchanges, for up to four
// seconds, and flushes p, for five altogether. It returns ctx's error, or the
// listener's, and never nil. Nil p: a Pipeline of zero value.
func ListenAndServe(ctx context.Context, addr string, p *Pipeline) error {
	if p == nil {
		p = &Pipeline{}
	}
	s := &Server{Pipeline: p}
	stop := func() {
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		drain, cancel := context.WithTimeout(bounded, 4*time.Second) // leaves time to flush
		defer cancel()
		s.Shutdown(drain)
		p.Close(bounded)
	}
	stopped := make(chan struct{})
	unhook := context.AfterFunc(ctx, func() {
		defer close(stopped)
		stop()
	})
	err := s.ListenAndServe(addr)
	if !unhook() {
		<-stopped
		return ctx.Err()
	}
	stop()
	return err
}

// ListenAndServe listens on the TCP address addr and serves. See Serve.
func (s *Server) ListenAndServe(addr string) error {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return s.Serve(l)
}

func (s *Server) setup() {
	s.init.Do(func() {
		s.ctx, s.cancel = context.WithCancel(context.Background())
		s.ports, s.clients = map[net.Listener]struct{}{}, map[*client]struct{}{}
		s.gone, s.stopped = make(chan struct{}), make(chan struct{})
		if s.MaxConns > 0 {
			s.room = make(chan struct{}, s.MaxConns)
		}
		s.plain = s.Pipeline
		if s.plain == nil {
			s.plain = &Pipeline{}
		}
	})
}

// Serve accepts clients on l until it fails, or the server is closed: the error
// is then ErrServerClosed. It closes l.
func (s *Server) Serve(l net.Listener) error {
	s.setup()
	defer l.Close()
	if !s.add(l) {
		return ErrServerClosed
	}
	defer s.remove(l)
	for pause := time.Duration(0); ; {
		if !s.enter() {
			return ErrServerClosed
		}
		c, err := l.Accept()
		if err == nil {
			pause = 0
			s.start(c)
			continue
		}
		s.leave()
		if s.isClosed() {
			return ErrServerClosed
		}
		var temporary interface{ Temporary() bool }
		if !errors.As(err, &temporary) || !temporary.Temporary() {
			return err
		}
		pause = min(max(2*pause, 5*time.Millisecond), time.Second)
		s.log("accept failed; trying again", "err", err, "in", pause)
		select {
		case <-time.After(pause):
		case <-s.stopped:
		}
	}
}

// enter waits for room for one more client; false: the server has stopped.
func (s *Server) enter() bool {
	if s.room == nil {
		return true
	}
	select {
	case s.room <- struct{}{}:
		return true
	case <-s.stopped:
		return false
	}
}

func (s *Server) leave() {
	if s.room != nil {
		<-s.room
	}
}

func (s *Server) log(msg string, args ...any) {
	if s.Logger != nil {
		s.Logger.Info(msg, args...)
	}
}

// start serves a client on a goroutine of its own.
func (s *Server) start(conn net.Conn) {
	c := &client{conn: sniff.NewConn(conn)}
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		conn.Close()
		s.leave()
		return
	}
	s.clients[c] = struct{}{}
	s.mu.Unlock()
	go func() {
		defer func() {
			if v := recover(); v != nil { // of a Front or a DialFunc
				s.log("panic", "client", conn.RemoteAddr().String(), "panic", v, "stack", string(debug.Stack()))
			}
			conn.Close()
			s.leave()
			s.mu.Lock()
			defer s.mu.Unlock()
			delete(s.clients, c)
			close(s.gone)
			s.gone = make(chan struct{})
		}()
		if err := s.serve(s.ctx, c); err != nil && !errors.Is(err, io.EOF) {
			s.log("connection ended", "client", conn.RemoteAddr().String(), "err", err)
		}
	}()
}

// serve brings one client to its targets, one after the other.
func (s *Server) serve(ctx context.Context, c *client) error {
	front := s.Front
	if front == nil {
		front = &HTTP{}
	}
	var last *session
	for {
		req, err := front.Accept(ctx, c.conn)
		if err != nil {
			return err
		}
		ses := s.session(c, req, last)
		last = ses
		if again, err := s.bring(ctx, c, req, ses); !again {
			return err
		}
	}
}

// bring brings a client to the target of one request. It reports whether the
// client may ask for another.
func (s *Server) bring(ctx context.Context, c *client, req *Request, ses *session) (again bool, err error) {
	ses.busy.Add(1)
	ses.entering.Store(true)
	defer ses.enter()
	server, err := s.dial(ctx, req)
	if err != nil {
		return s.refuse(c, req, ses, err), err
	}
	defer server.Close()
	ses.Dialled = time.Now()
	if req.Granted != nil {
		err = req.Granted()
	}
	f := s.plain.newFlow(c.conn, sniff.NewConn(server), ses)
	if err != nil {
		f.recordWhole(sniff.Traffic{}, err.Error())
		return false, err
	}
	if req.forward == nil {
		ses.enter()
	}
	err = f.serve(ctx)
	if err == nil && ses.bad != "" {
		return false, reject(c.conn, http.StatusBadRequest, ses.bad)
	}
	return err == nil && ses.again, err
}

// session begins what a request is about. Further ones on the same connection
// go under the same id.
func (s *Server) session(c *client, req *Request, last *session) *session {
	known := Session{
		Network: req.Network, Host: req.Host, ClientID: req.ClientID, Connect: req.Connect,
		Remote: c.conn.RemoteAddr().String(), Local: c.conn.LocalAddr().String(),
	}
	if last != nil {
		known.ID = last.ID
	}
	ses := newSession(known)
	if last != nil {
		ses.seq.Store(last.seq.Load())
	}
	ses.forward = req.forward
	c.mu.Lock()
	defer c.mu.Unlock()
	c.session = ses
	return ses
}

func (s *Server) dial(ctx context.Context, req *Request) (net.Conn, error) {
	timeout := s.DialTimeout
	if timeout <= 0 {
		timeout = 30 * time.Second
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	dial := s.Dial
	if dial == nil {
		dial = (&net.Dialer{}).DialContext
	}
	return dial(ctx, or(req.Network, "tcp"), req.Host)
}

// refuse tells the client that its target cannot be had, and records it. It
// reports whether the client may ask for something else.
func (s *Server) refuse(c *client, req *Request, ses *session, why error) bool {
	again := req.Refused != nil && req.Refused(why)
	f := s.plain.newFlow(c.conn, nil, ses)
	if section := req.request; section != nil {
		f.connect, f.base.Proto = section, "http"
	}
	f.recordWhole(sniff.Traffic{
		Up: sniff.Direction{Bytes: req.in}, Down: sniff.Direction{Bytes: req.out},
	}, why.Error())
	return again
}

// idle reports whether c has nothing under way.
func (c *client) idle() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session == nil || c.session.busy.Load() == 0
}
