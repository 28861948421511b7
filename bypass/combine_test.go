package bypass

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
)

// answer is a Matcher that always says the same, without an Explain.
type answer struct {
	matched bool
	err     error
}

func (a answer) Match(context.Context, Target) (bool, error) { return a.matched, a.err }

func TestCombinators(t *testing.T) {
	var (
		yes     = answer{true, nil}
		no      = answer{false, nil}
		gone    = answer{true, errors.New("gone")} // a bool beside an error means nothing
		unknown = new(File)                        // never loaded
	)
	const Yes, No, NotLoaded, Gone, Other = "yes", "no", "not loaded", "gone", "other error"
	for i, tt := range []struct {
		m    Matcher
		want string
	}{
		{Any(), No}, {Any(no, no), No}, {Any(no, yes), Yes}, {Any(yes, no), Yes},
		{Any(unknown), NotLoaded}, {Any(no, unknown), NotLoaded}, {Any(unknown, no), NotLoaded},
		{Any(unknown, yes), Yes}, {Any(yes, unknown), Yes},
		{Any(gone, unknown), Gone}, {Any(unknown, gone), NotLoaded}, {Any(nil, no), Other}, {Any(nil, yes), Yes},

		{All(), Yes}, {All(yes, yes), Yes}, {All(yes, no), No}, {All(no, yes), No},
		{All(unknown), NotLoaded}, {All(yes, unknown), NotLoaded}, {All(unknown, yes), NotLoaded},
		{All(unknown, no), No}, {All(no, unknown), No},
		{All(gone, unknown), Gone}, {All(unknown, gone), NotLoaded}, {All(nil), Other},

		{Not(yes), No}, {Not(no), Yes}, {Not(unknown), NotLoaded}, {Not(gone), Gone}, {Not(nil), Other},
		{Not(Not(unknown)), NotLoaded}, {Not(Not(yes)), Yes},
		{Not(Any(no, unknown)), NotLoaded}, {Not(All(yes, unknown)), NotLoaded},

		{None(), No}, {Not(None()), Yes},

		{Network("tcp", yes), Yes}, {Network("udp", yes), No}, {Network("tcp", no), No},
		{Network("tcp", unknown), NotLoaded}, {Network("udp", unknown), No},
		{Not(Network("tcp", unknown)), NotLoaded},
		{Network("quic", yes), Other}, {Network("", yes), Other}, {Network("tcp", nil), Other},

		// Every combinator over an unloaded list, as a program would have them.
		{Any(Must(".other.test"), unknown), NotLoaded},
		{All(Must(".example.com"), unknown), NotLoaded},
		{Not(unknown), NotLoaded},
		{Network("tcp", Not(unknown)), NotLoaded},
		{Any(new(HTTP)), NotLoaded}, {All(new(HTTP)), NotLoaded}, {Not(new(HTTP)), NotLoaded},
		{Any((*List)(nil)), NotLoaded}, {Not((*List)(nil)), NotLoaded},
		{unknown, NotLoaded}, {new(HTTP), NotLoaded},
	} {
		ctx, target := context.Background(), Target{Host: "www.example.com", Port: 443}
		for _, network := range []string{"", "tcp", "tcp6"} {
			target.Network = network
			matched, err := tt.m.Match(ctx, target)
			name := fmt.Sprintf("%d: %T", i, tt.m)
			got := map[bool]string{true: Yes, false: No}[matched]
			switch {
			case errors.Is(err, ErrNotLoaded):
				got = NotLoaded
			case err != nil && err.Error() == "gone":
				got = Gone
			case err != nil:
				got = Other
				assert.ErrorContains(t, err, "bypass: ", name)
			}
			assert.Equal(t, tt.want, got, name)
			if _, ok := tt.m.(answer); !ok && err != nil {
				assert.False(t, matched, "%s: true beside an error", name)
			}

			why, explained, xerr := Explain(ctx, tt.m, target)
			assert.Equal(t, matched, explained, name)
			assert.Equal(t, err, xerr, name)
			assert.Equal(t, err == nil, why != "", "%s: %q", name, why)
		}
	}
}

func TestNetwork(t *testing.T) {
	for network, tcp := range map[string]bool{"": true, "tcp": true, "tcp4": true, "tcp6": true, "udp": false, "udp4": false, "udp6": false} {
		target := Target{Network: network, Host: "a.test"}
		matched, err := Network("tcp", Must("a.test")).Match(context.Background(), target)
		assert.NoError(t, err)
		assert.Equal(t, tcp, matched, network)
		matched, err = Network("udp", Must("a.test")).Match(context.Background(), target)
		assert.NoError(t, err)
		assert.Equal(t, !tcp, matched, network)
	}
	_, err := Network("udp", Must("a.test")).Match(context.Background(), Target{Network: "unix"})
	assert.ErrorIs(t, err, errNetwork)
	_, _, err = Explain(context.Background(), Network("udp", Must("a.test")), Target{Network: "unix"})
	assert.ErrorIs(t, err, errNetwork)
}

func TestExplain(t *testing.T) {
	bank := Must(".bank.test", "10.0.0.0/8")
	www := Target{Host: "www.bank.test", Port: 443}
	for _, tt := range []struct {
		m    Matcher
		t    Target
		why  string
		want bool
	}{
		{bank, www, ".bank.test", true},
		{bank, Target{Host: "a.test"}, "no rule matches", false},
		{Any(Must("a.test"), bank), www, ".bank.test", true},
		{Any(Must("a.test"), Must("b.test")), www, "no rule matches", false},
		{All(bank, Must("*:443")), www, ".bank.test and *:443", true},
		{All(bank, Must("*:80")), www, "no rule matches", false},
		{Not(bank), www, "not (.bank.test)", false},
		{Not(bank), Target{Host: "a.test"}, "not (no rule matches)", true},
		{Network("tcp", bank), www, "tcp: .bank.test", true},
		{Network("udp", bank), www, "the network is not udp", false},
		{answer{true, nil}, www, "matched by a bypass.answer", true},
		{Not(None()), www, "not (no rule matches)", true},
		{All(), www, "everything matches", true},
	} {
		why, matched, err := Explain(context.Background(), tt.m, tt.t)
		assert.NoError(t, err)
		assert.Equal(t, tt.want, matched)
		assert.Equal(t, tt.why, why)
	}
	_, _, err := Explain(context.Background(), nil, www)
	assert.ErrorIs(t, err, errNil)
}

// What the documentation says of whitelists: one listed name of a target opens
// it, and a closed name keeps it closed whatever the others are.
func TestWhitelist(t *testing.T) {
	keepClosed := Any(Must("10.0.0.0/8"), Not(Must(".example.com")))
	for _, tt := range []struct {
		t      Target
		closed bool
	}{
		{Target{Host: "127.0.0.1", Addr: addr("127.0.0.1"), SNI: "www.example.com"}, false},
		{Target{Host: "127.0.0.1", Addr: addr("127.0.0.1")}, true},
		{Target{Host: "www.example.com", Addr: addr("10.1.1.1"), SNI: "www.example.com"}, true},
		{Target{Host: "10.1.1.1", SNI: "www.example.com"}, true},
	} {
		closed, err := keepClosed.Match(context.Background(), tt.t)
		assert.NoError(t, err)
		assert.Equal(t, tt.closed, closed, "%+v", tt.t)
	}
}
