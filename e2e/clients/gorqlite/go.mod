// gorqlite in a module of its own, as it is published: nothing of it enters the project.
module securesql.dev/e2e/clients/gorqlite

go 1.26.0

require github.com/rqlite/gorqlite v0.0.0-20261020015727-7224ce2bd419
