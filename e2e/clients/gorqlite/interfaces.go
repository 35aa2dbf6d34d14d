// What gorqlite offers: functions of its own, and a driver of Go's database/sql.
package main

import (
	"database/sql"

	"github.com/rqlite/gorqlite"
	_ "github.com/rqlite/gorqlite/stdlib"
)

const defaultLevel = "weak"

func open(given about) (client, error) {
	if given.Interface == "database/sql" {
		return &sqlInterface{about: given, byLevel: map[string]*sql.DB{}}, nil
	}
	connection, err := gorqlite.Open(given.address(defaultLevel))
	if err != nil {
		return nil, err
	}
	return &ownInterface{connection}, nil
}

type ownInterface struct {
	connection *gorqlite.Connection
}

func (o *ownInterface) execute(one statement) (int64, error) {
	result, err := o.connection.WriteOneParameterized(one.parameterized())
	return result.LastInsertID, err
}

func (o *ownInterface) query(one statement, level string) ([]row, error) {
	if level == "" {
		level = defaultLevel
	}
	known, err := gorqlite.ParseConsistencyLevel(level)
	if err != nil {
		return nil, err
	}
	if err := o.connection.SetConsistencyLevel(known); err != nil {
		return nil, err
	}
	result, err := o.connection.QueryOneParameterized(one.parameterized())
	if err != nil {
		return nil, err
	}
	rows := []row{}
	for result.Next() {
		values, err := result.Map()
		if err != nil {
			return nil, err
		}
		rows = append(rows, values)
	}
	return rows, nil
}

func (o *ownInterface) transaction(statements []statement) error {
	all := []gorqlite.ParameterizedStatement{}
	for _, one := range statements {
		all = append(all, one.parameterized())
	}
	_, err := o.connection.WriteParameterized(all)
	return err
}

func (o *ownInterface) queue(one statement) error {
	_, err := o.connection.QueueOneParameterized(one.parameterized())
	return err
}

func (o *ownInterface) nodes() (any, error) {
	leader, err := o.connection.Leader()
	if err != nil {
		return nil, err
	}
	peers, err := o.connection.Peers()
	return row{"leader": leader, "peers": peers}, err
}

func (s statement) parameterized() gorqlite.ParameterizedStatement {
	return gorqlite.ParameterizedStatement{Query: s.sql, Arguments: s.parameters}
}

// sqlInterface has the level in the address, so each level is a database of its own.
type sqlInterface struct {
	about   about
	byLevel map[string]*sql.DB
}

func (s *sqlInterface) at(level string) (*sql.DB, error) {
	if level == "" {
		level = defaultLevel
	}
	if known := s.byLevel[level]; known != nil {
		return known, nil
	}
	database, err := sql.Open("rqlite", s.about.address(level))
	if err == nil {
		s.byLevel[level] = database
	}
	return database, err
}

func (s *sqlInterface) execute(one statement) (int64, error) {
	database, err := s.at(defaultLevel)
	if err != nil {
		return 0, err
	}
	result, err := database.Exec(one.sql, one.parameters...)
	if err != nil {
		return 0, err
	}
	return result.LastInsertId()
}

func (s *sqlInterface) query(one statement, level string) ([]row, error) {
	database, err := s.at(level)
	if err != nil {
		return nil, err
	}
	found, err := database.Query(one.sql, one.parameters...)
	if err != nil {
		return nil, err
	}
	defer found.Close()
	columns, err := found.Columns()
	if err != nil {
		return nil, err
	}
	rows := []row{}
	for found.Next() {
		values := make([]any, len(columns))
		places := make([]any, len(columns))
		for at := range values {
			places[at] = &values[at]
		}
		if err := found.Scan(places...); err != nil {
			return nil, err
		}
		named := row{}
		for at, column := range columns {
			named[column] = values[at]
		}
		rows = append(rows, named)
	}
	return rows, found.Err()
}
