import java.math.BigDecimal;
import java.sql.Connection;
import java.sql.DatabaseMetaData;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.ResultSetMetaData;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;

/** MySQL Connector/J. Prints "name<TAB>milliseconds<TAB>failure" per check; the failure is empty when there is none. */
public class Jdbc {
    private static String url;
    private static String password;
    private static final String DATABASE = "by_jdbc";

    interface Check {
        void run() throws Exception;
    }

    private static Connection connect(String database, String options) throws SQLException {
        return DriverManager.getConnection(url + database + "?useSSL=false" + options, "root", password);
    }

    private static void equal(Object found, Object wanted) {
        if (!Objects.equals(found, wanted)) {
            throw new AssertionError("found " + found + ", wanted " + wanted);
        }
    }

    private static void check(String name, Check check) {
        long started = System.nanoTime();
        String failure = "";
        try {
            check.run();
        } catch (Throwable thrown) {
            StringBuilder text = new StringBuilder(thrown.toString());
            for (StackTraceElement frame : thrown.getStackTrace()) {
                if (frame.getClassName().startsWith("Jdbc")) {
                    text.append(" at line ").append(frame.getLineNumber());
                    break;
                }
            }
            failure = text.toString().replace('\n', ' ').replace('\t', ' ');
        }
        System.out.println(name + "\t" + (System.nanoTime() - started) / 1_000_000 + "\t" + failure);
    }

    private static List<String> lines(ResultSet rows) throws SQLException {
        List<String> lines = new ArrayList<>();
        int width = rows.getMetaData().getColumnCount();
        while (rows.next()) {
            List<String> cells = new ArrayList<>();
            for (int at = 1; at <= width; at++) {
                cells.add(rows.getString(at));
            }
            lines.add(String.join("|", cells.stream().map(String::valueOf).toList()));
        }
        return lines;
    }

    public static void main(String[] arguments) {
        url = "jdbc:mysql://127.0.0.1:" + arguments[0] + "/";
        password = arguments[1];
        check("a wrong password is refused", Jdbc::passwords);
        check("creates and fills a table", Jdbc::createAndFill);
        check("reads every type", () -> read(""));
        check("reads every type, server prepared", () -> read("&useServerPrepStmts=true&cachePrepStmts=true"));
        check("metadata of results", Jdbc::resultMetadata);
        check("metadata of the database", Jdbc::databaseMetadata);
        check("batches and changes", Jdbc::changes);
        check("transactions", Jdbc::transactions);
        check("errors", Jdbc::errors);
    }

    private static void passwords() {
        try (Connection connection = DriverManager.getConnection(url + "?useSSL=false", "root", "wrong")) {
            throw new AssertionError("taken");
        } catch (SQLException error) {
            equal(error.getErrorCode(), 1045);
            equal(error.getSQLState(), "28000");
        }
    }

    private static void createAndFill() throws Exception {
        try (Connection connection = connect("", ""); Statement statement = connection.createStatement()) {
            statement.execute("DROP DATABASE IF EXISTS " + DATABASE + " FORCE");
            statement.execute("CREATE DATABASE " + DATABASE);
            statement.execute("CREATE TABLE " + DATABASE + ".t (id INT NOT NULL, b BOOLEAN, bi BIGINT, li LARGEINT, d DOUBLE,"
                    + " n DECIMAL(18,2), day DATE, `at` DATETIME(3), v VARCHAR(40), s STRING) UNIQUE KEY(id)"
                    + " DISTRIBUTED BY HASH(id) BUCKETS 2 PROPERTIES (\"replication_num\" = \"1\")");
        }
        try (Connection connection = connect(DATABASE, "");
                PreparedStatement insert = connection.prepareStatement("INSERT INTO t VALUES (?,?,?,?,?,?,?,?,?,?)")) {
            insert.setInt(1, 7);
            insert.setBoolean(2, true);
            insert.setLong(3, 1L << 40);
            insert.setString(4, "1267650600228229401496703205376");
            insert.setDouble(5, 2.25);
            insert.setBigDecimal(6, new BigDecimal("1234.50"));
            insert.setDate(7, Date.valueOf("2024-02-29"));
            insert.setTimestamp(8, Timestamp.valueOf("2024-02-29 23:59:58.25"));
            insert.setString(9, "it's \\ \"ü\"");
            insert.setString(10, "line\nbreak");
            equal(insert.executeUpdate(), 1);
        }
    }

    private static void read(String options) throws Exception {
        try (Connection connection = connect(DATABASE, options);
                PreparedStatement select = connection.prepareStatement("SELECT * FROM t WHERE id = ?")) {
            for (int id = 7; id <= 8; id++) {
                select.setInt(1, id);
                try (ResultSet row = select.executeQuery()) {
                    equal(row.next(), id == 7);
                    if (id == 7) {
                        equal(row.getObject("id"), 7);
                        equal(row.getBoolean("b"), true);
                        equal(row.getObject("bi"), 1L << 40);
                        equal(row.getString("li"), "1267650600228229401496703205376");
                        equal(row.getObject("d"), 2.25);
                        equal(row.getObject("n"), new BigDecimal("1234.50"));
                        equal(row.getDate("day"), Date.valueOf("2024-02-29"));
                        equal(row.getTimestamp("at"), Timestamp.valueOf("2024-02-29 23:59:58.25"));
                        equal(row.getString("v"), "it's \\ \"ü\"");
                        equal(row.getString("s"), "line\nbreak");
                    }
                }
            }
        }
    }

    private static void resultMetadata() throws Exception {
        try (Connection connection = connect(DATABASE, ""); Statement statement = connection.createStatement();
                ResultSet rows = statement.executeQuery("SELECT id AS x, n, `at`, COUNT(*) FROM t GROUP BY 1, 2, 3")) {
            ResultSetMetaData metadata = rows.getMetaData();
            List<String> found = new ArrayList<>();
            for (int at = 1; at <= metadata.getColumnCount(); at++) {
                found.add(metadata.getColumnLabel(at) + " " + metadata.getColumnTypeName(at) + " "
                        + metadata.getPrecision(at) + "," + metadata.getScale(at));
            }
            equal(found, List.of("x INT 10,0", "n DECIMAL 18,2", "at DATETIME 6,0", "COUNT(*) BIGINT 19,0"));
        }
    }

    private static void databaseMetadata() throws Exception {
        try (Connection connection = connect(DATABASE, "")) {
            DatabaseMetaData metadata = connection.getMetaData();
            equal(metadata.getDatabaseProductVersion(), "5.7.99");
            List<String> tables = new ArrayList<>();
            try (ResultSet rows = metadata.getTables(DATABASE, null, "%", new String[] {"TABLE"})) {
                while (rows.next()) {
                    tables.add(rows.getString("TABLE_NAME"));
                }
            }
            equal(tables, List.of("t"));
            List<String> columns = new ArrayList<>();
            try (ResultSet rows = metadata.getColumns(DATABASE, null, "t", "%")) {
                while (rows.next()) {
                    columns.add(rows.getString("COLUMN_NAME") + " " + rows.getString("TYPE_NAME"));
                }
            }
            equal(columns.size(), 10);
            equal(columns.subList(5, 8), List.of("n DECIMAL", "day DATE", "at DATETIME"));
        }
    }

    private static void changes() throws Exception {
        for (String options : List.of("", "&rewriteBatchedStatements=true", "&allowMultiQueries=true", "&useServerPrepStmts=true")) {
            try (Connection connection = connect(DATABASE, options);
                    PreparedStatement insert = connection.prepareStatement("INSERT INTO t (id, v) VALUES (?, ?)")) {
                for (int id = 100; id < 120; id++) {
                    insert.setInt(1, id);
                    insert.setString(2, "v" + id);
                    insert.addBatch();
                }
                equal(insert.executeBatch().length, 20);
                try (Statement statement = connection.createStatement()) {
                    equal(lines(statement.executeQuery("SELECT COUNT(*), MIN(v) FROM t WHERE id >= 100")), List.of("20|v100"));
                    equal(statement.executeUpdate("UPDATE t SET v = 'w' WHERE id = 100"), 1);
                    equal(statement.executeUpdate("DELETE FROM t WHERE id >= 100"), 20);
                }
            }
        }
    }

    private static void transactions() throws Exception {
        try (Connection connection = connect(DATABASE, ""); Statement statement = connection.createStatement()) {
            for (String end : List.of("ROLLBACK", "COMMIT")) {
                statement.execute("BEGIN");
                statement.execute("INSERT INTO t (id) VALUES (200)");
                statement.execute(end);
            }
            equal(lines(statement.executeQuery("SELECT id FROM t WHERE id >= 200")), List.of("200"));
            connection.setAutoCommit(false);
            connection.commit();
            connection.setAutoCommit(true);
            connection.setTransactionIsolation(Connection.TRANSACTION_READ_COMMITTED);
            connection.setReadOnly(false);
            equal(connection.isValid(5), true);
        }
    }

    private static void errors() throws Exception {
        try (Connection connection = connect(DATABASE, ""); Statement statement = connection.createStatement()) {
            try {
                statement.executeQuery("SELECT nothing FROM t");
                throw new AssertionError("taken");
            } catch (SQLException error) {
                equal(error.getErrorCode(), 1105);
            }
            equal(lines(statement.executeQuery("SELECT 1")), List.of("1"));
        }
    }
}
