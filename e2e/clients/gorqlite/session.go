// One connection of gorqlite, driven by lines of JSON: the first line of standard input says where, as whom and through which of its two interfaces,
// every further line is one call, every answer one line.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"strconv"
)

type about struct {
	Port     int    `json:"port"`
	Username string `json:"username"`
	Password string `json:"password"`
	// "own", or "database/sql".
	Interface string `json:"interface"`
	// Whether it asks the node for the others (what it does by itself when nobody says otherwise).
	Discovers bool `json:"discovers"`
}

type order struct {
	Call       string      `json:"call"`
	Statements []statement `json:"statements"`
	Level      string      `json:"level"`
}

// statement is what the suite writes as [sql, parameter, ...].
type statement struct {
	sql        string
	parameters []any
}

type row = map[string]any

// client is what both interfaces can do.
type client interface {
	execute(statement) (insertedID int64, err error)
	query(one statement, level string) ([]row, error)
}

func (s *statement) UnmarshalJSON(text []byte) error {
	var parts []any
	if err := json.Unmarshal(text, &parts); err != nil {
		return err
	}
	if len(parts) == 0 {
		return errors.New("a statement without text")
	}
	sql, isText := parts[0].(string)
	if !isText {
		return errors.New("the text of a statement is no string")
	}
	s.sql, s.parameters = sql, parts[1:]
	for at, value := range s.parameters {
		// An application passes integers as such; JSON has one kind of numbers.
		if number, isNumber := value.(float64); isNumber && number == float64(int64(number)) {
			s.parameters[at] = int64(number)
		}
	}
	return nil
}

func (a about) address(level string) string {
	options := url.Values{"level": {level}, "timeout": {"60"}, "disableClusterDiscovery": {strconv.FormatBool(!a.Discovers)}}
	address := url.URL{
		Scheme:   "https",
		User:     url.UserPassword(a.Username, a.Password),
		Host:     fmt.Sprintf("127.0.0.1:%d", a.Port),
		RawQuery: options.Encode(),
	}
	return address.String()
}

func answer(to client, asked order) (any, error) {
	own, isOwn := to.(*ownInterface)
	switch {
	case asked.Call == "execute":
		id, err := to.execute(asked.Statements[0])
		return row{"id": id}, err
	case asked.Call == "query":
		rows, err := to.query(asked.Statements[0], asked.Level)
		return row{"rows": rows}, err
	case asked.Call == "transaction" && isOwn:
		return row{"done": true}, own.transaction(asked.Statements)
	case asked.Call == "queue" && isOwn:
		return row{"done": true}, own.queue(asked.Statements[0])
	case asked.Call == "nodes" && isOwn:
		return own.nodes()
	}
	return nil, fmt.Errorf("this interface has no %s", asked.Call)
}

func run() error {
	lines := json.NewDecoder(bufio.NewReader(os.Stdin))
	answers := json.NewEncoder(os.Stdout)
	var given about
	if err := lines.Decode(&given); err != nil {
		return err
	}
	to, failure := open(given)
	for lines.More() {
		var asked order
		if err := lines.Decode(&asked); err != nil {
			return err
		}
		said, err := any(nil), failure
		if err == nil {
			said, err = answer(to, asked)
		}
		if err != nil {
			said = row{"error": err.Error()}
		}
		if err := answers.Encode(said); err != nil {
			return err
		}
	}
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
