# frozen_string_literal: true

# Statements sanitised and summarised, with a core and without.

STATEMENT = "SELECT  *  FROM users WHERE name = 'secret' AND id = 42 -- secret"
SANITIZED = "SELECT * FROM users WHERE name = ? AND id = ?"

def sql_works
  [nil, "postgres", "mysql2", :sqlite, "no such", "", "\0", "\xFF", 7].each do |dialect|
    same [dialect, Scout.sanitize_sql(STATEMENT, dialect: dialect)], [dialect, SANITIZED]
    same [dialect, Scout.summarize_sql(STATEMENT, dialect: dialect)], [dialect, "SELECT users"]
  end
end

test "sql-at-any-time" do
  sql_works # with the backend that is installed
  library
  sql_works # with this one
  started
  sql_works
  Scout.shutdown(5000)
  sql_works
end

test "sql-dialects" do
  library
  statement = "SELECT a FROM t WHERE b = 'x\\' AND c = 'y'" # a backslash escapes in MySQL only
  ["postgres", "pg", :sqlite3].each do |dialect|
    same Scout.sanitize_sql(statement, dialect: dialect), "SELECT a FROM t WHERE b = ? AND c = ?"
  end
  ["mysql2", "no such", nil].each do |dialect|
    same Scout.sanitize_sql(statement, dialect: dialect), "SELECT a FROM t WHERE b = ?"
  end
end

test "sql-of-any-bytes" do
  library
  same [Scout.sanitize_sql(""), Scout.summarize_sql("")], ["", ""]
  ["\xFF\xFE", "\0", "a\0b", "\xC3", "\u00e9"].each do |inside|
    statement = "SELECT * FROM users WHERE a = 'secret#{inside}'"
    [statement, statement.b].each do |text|
      same Scout.sanitize_sql(text), "SELECT * FROM users WHERE a = ?"
      same Scout.summarize_sql(text), "SELECT users"
    end
  end
  wide = "SELECT * FROM users WHERE a = 'secret'".encode(Encoding::UTF_16LE)
  same Scout.sanitize_sql(wide), "SELECT * FROM users WHERE a = ?"
  same Scout.sanitize_sql("SELECT 'secret'".dup.force_encoding(Encoding::UTF_7)), "?"
  ["\xFF", "\0", "'secret\0", (0..255).to_a.pack("C*") * 40, "SELECT `\xFF`, " * 400].each do |garbage|
    sanitized = Scout.sanitize_sql(garbage)
    check(sanitized.valid_encoding? && !sanitized.include?("secret"), sanitized)
    check(Scout.summarize_sql(garbage).valid_encoding?)
  end
  [nil, 7, Object.new, ["SELECT 1"]].each do |other|
    same [Scout.sanitize_sql(other), Scout.summarize_sql(other)], ["?", ""]
  end
end

test "sql-of-100-kilobytes" do
  library
  ["name = 'secret' AND " * 5000, "a = b AND " * 10_000, "a = '#{'secret' * 17_000}"].each do |middle|
    statement = "SELECT * FROM users WHERE #{middle}name = 'secret'"
    check(statement.bytesize > 100_000)
    sanitized = Scout.sanitize_sql(statement)
    check(sanitized.start_with?("SELECT * FROM users WHERE") && !sanitized.include?("secret"))
    check(sanitized.bytesize <= 65_536 + 64, sanitized.bytesize)
    same Scout.summarize_sql(statement), "SELECT users"
  end
end

test "copies-into-larger-buffers" do
  lib = library
  [1, 8, SANITIZED.bytesize - 1, SANITIZED.bytesize, 4096].each do |room|
    copied = Scout::Sql.send(:copied, room) do |*buffer|
      lib.scout_sql_sanitize("", 0, STATEMENT, STATEMENT.bytesize, *buffer)
    end
    same [room, copied], [room, SANITIZED]
  end
end
